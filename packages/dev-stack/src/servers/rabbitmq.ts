import { freePorts, isPortFree } from '../ports.ts'
import { PortTakenError, StartError } from '../start-error.ts'
import { isDockerReachable, launchInDocker } from './rabbitmq-docker.ts'
import { launchNode } from './rabbitmq-node.ts'
import { findPrograms } from './rabbitmq-programs.ts'
import type { Launcher, RabbitmqOptions, RabbitmqServer } from './rabbitmq-server.ts'

const START_TRIES = 3

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
  for (let attempt = 1; ; attempt++) {
    const [amqp, management, distribution, epmd] = await freePorts(4)
    const ports = { amqp, management, distribution, epmd, ...options.ports }
    const start = await launch(ports, options)
    if (start.outcome === 'ready') return start.server
    options.signal?.throwIfAborted()
    if (start.outcome === 'port_taken') {
      const taken = await portsTaken(Object.values(options.ports ?? {}))
      if (taken.length > 0) throw new PortTakenError('RabbitMQ', taken)
      // Another program took one of the free ports first.
      if (attempt < START_TRIES) continue
    }
    throw new StartError(`RabbitMQ did not start (${start.outcome}); the end of ${start.logFile}:\n${start.output}`)
  }
}

/** Prefers an installed broker to one that apt-get can download, and both to a container. */
async function findLauncher(options: RabbitmqOptions): Promise<Launcher> {
  const found = await findPrograms(options)
  if (found.programs) return launchNode(found.programs)
  if (await isDockerReachable()) return launchInDocker
  throw new StartError(NO_WAY, { cause: found.failure })
}

async function portsTaken(ports: readonly number[]): Promise<number[]> {
  const free = await Promise.all(ports.map(isPortFree))
  return ports.filter((_, index) => !free[index])
}
