import { redactedErrorMessage } from '@cashflow/runtime'
import { StartError } from '../start-error.ts'
import { canDownloadFromDebian } from './debian-cache.ts'
import type { RabbitmqOptions, RabbitmqServer } from './rabbitmq.ts'
import { cachedDebianPrograms, downloadDebianPrograms } from './rabbitmq-debian.ts'
import { isDockerReachable, launchInDocker } from './rabbitmq-docker.ts'
import { installedPrograms, type RabbitmqPrograms } from './rabbitmq-installed.ts'
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
  const found = await findPrograms(options)
  if (found.programs) return launchNode(found.programs)
  if (await isDockerReachable()) return launchInDocker
  throw new StartError(NO_WAY, { cause: found.failure })
}

/** RabbitMQ's programs on this machine: what is installed, or else what apt-get can download. */
export async function findPrograms(
  options: Pick<RabbitmqOptions, 'log' | 'signal'>,
): Promise<{ programs: RabbitmqPrograms } | { programs?: undefined; failure?: unknown }> {
  const programs = (await installedPrograms()) ?? cachedDebianPrograms()
  if (programs) return { programs }
  if (!canDownloadFromDebian()) return {}
  try {
    return { programs: await downloadDebianPrograms(options) }
  } catch (failure) {
    options.signal?.throwIfAborted()
    options.log?.(`apt-get could not download RabbitMQ: ${redactedErrorMessage(failure)}`)
    return { failure }
  }
}
