import { errorMessage } from '@cashflow/runtime'
import { StartError } from '../start-error.ts'
import type { RabbitmqOptions, RabbitmqServer } from './rabbitmq.ts'
import { cachedDebianPrograms, canDownloadDebianPrograms, downloadDebianPrograms } from './rabbitmq-debian.ts'
import { isDockerReachable, launchInDocker } from './rabbitmq-docker.ts'
import { installedPrograms } from './rabbitmq-installed.ts'
import { launchNode } from './rabbitmq-node.ts'

export type RabbitmqPorts = { amqp: number; management: number; distribution: number; epmd: number }

export type Launch =
  | { outcome: 'ready'; server: RabbitmqServer }
  | { outcome: 'port taken' | 'failed'; logFile: string; said: string }

export type Launcher = (ports: RabbitmqPorts, options: RabbitmqOptions) => Promise<Launch>

const NO_WAY = `RabbitMQ is not installed and cannot be fetched. Any one of these helps:
  1. install it, so that rabbitmq-server and erl are on the PATH;
  2. let apt-get reach its sources (Debian, Ubuntu): it then downloads RabbitMQ for this user alone, without root;
  3. start a Docker engine that this user may use.
Or set RABBITMQ_URL to a broker that runs elsewhere.`

/** What is installed; or else what apt-get can download; or else a container. */
export async function findLauncher(options: RabbitmqOptions): Promise<Launcher> {
  const programs = (await installedPrograms()) ?? cachedDebianPrograms()
  if (programs) return launchNode(programs)

  let failure: unknown
  if (canDownloadDebianPrograms()) {
    try {
      return launchNode(await downloadDebianPrograms(options))
    } catch (error) {
      options.signal?.throwIfAborted()
      failure = error
      options.log?.(`apt-get could not download RabbitMQ: ${errorMessage(error)}`)
    }
  }
  if (await isDockerReachable()) return launchInDocker
  throw new StartError(NO_WAY, { cause: failure })
}
