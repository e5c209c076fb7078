import { freePorts, isPortFree, onPorts } from '../ports.ts'
import { PortTakenError, StartError } from '../start-error.ts'
import { isDockerReachable, launchInDocker } from './rabbitmq-docker.ts'
import { launchNode } from './rabbitmq-node.ts'
import { findPrograms } from './rabbitmq-programs.ts'
import type { Launcher, RabbitmqOptions, RabbitmqPorts, RabbitmqServer } from './rabbitmq-server.ts'

const NO_WAY = `RabbitMQ is not installed and cannot be fetched. Any one of these helps:
  1. install it, so that rabbitmq-server and erl are on the PATH;
  2. let apt-get reach its sources (Debian, Ubuntu): it then downloads RabbitMQ for this user alone, without root;
  3. start a Docker engine that this user may use.
Or set RABBITMQ_URL to a broker that runs elsewhere.`

/**
 * Resolves when AMQP and the management API answer. The data stays on disk, however the broker ends.
 *
 * @throws PortTakenError if a requested port is in use; StartError if no broker can run on this machine
 */
export async function startRabbitmq(options: RabbitmqOptions): Promise<RabbitmqServer> {
  const launch = await findLauncher(options)
  for (const port of Object.values(options.ports ?? {}))
    if (!(await isPortFree(port))) throw new PortTakenError('RabbitMQ', [port])
  const choose = async (): Promise<RabbitmqPorts> => {
    const [amqp, management, distribution, epmd] = await freePorts(4)
    return { amqp, management, distribution, epmd, ...options.ports }
  }
  const { server } = await onPorts(choose, (ports) => launch(ports, options))
  return server
}

/** Prefers an installed broker to one that apt-get can download, and both to a container. */
async function findLauncher(options: RabbitmqOptions): Promise<Launcher> {
  const found = await findPrograms(options)
  if (found.programs) return launchNode(found.programs)
  if (await isDockerReachable()) return launchInDocker
  throw new StartError(NO_WAY, { cause: found.failure })
}
