import { join, resolve } from 'node:path'
import { appendedTo } from '../files.ts'
import { startDaemon, untilReady } from '../processes/daemon.ts'
import { descendantsOf, type ProcessIdentity, untilGone } from '../processes/process-table.ts'
import { PortTakenError, StartError } from '../start-error.ts'
import { isRabbitmqReady } from './rabbitmq-management.ts'
import type { ServerOptions } from './server-options.ts'

export interface RabbitmqOptions extends ServerOptions {
  /** Default: free ones. */
  ports?: { amqp?: number; management?: number }
}

export type RabbitmqServer = Awaited<ReturnType<typeof launchCommand>>

export interface RabbitmqPorts {
  amqp: number
  management: number
  distribution: number
  epmd: number
}

/** One attempt to start a broker. */
export type Launcher = (ports: RabbitmqPorts, options: RabbitmqOptions) => Promise<RabbitmqServer>

/** A command that runs a broker until it is stopped. */
interface BrokerCommand {
  file: string
  args: string[]
  env: NodeJS.ProcessEnv
  /** The broker's name in the management API. Without one, any broker that answers on the ports is accepted. */
  clusterName?: string
  /** Runs rabbitmqctl against the broker and returns its output. */
  ctl(...args: string[]): Promise<string>
  stopPatienceMs: number
}

export interface LaunchOptions extends RabbitmqOptions {
  deadlineMs?: number
  cleanUp?: () => Promise<unknown>
}

const START_DEADLINE_MS = 120_000
/** Maximum length of the log's end that the error of a failed start shows. */
const OUTPUT_BYTES_MAX = 4_000

/**
 * Runs the command, and waits until the broker is ready. The process has ended if it does not become ready.
 *
 * @throws PortTakenError, StartError, or the signal's reason
 */
export async function launchCommand(
  { file, args, env, clusterName, ctl, stopPatienceMs }: BrokerCommand,
  ports: RabbitmqPorts,
  { onSpawn, outlive, signal, cleanUp, deadlineMs = START_DEADLINE_MS, ...options }: LaunchOptions,
) {
  const dir = resolve(options.dir)
  const logFile = logFileIn(dir)
  const readOutput = appendedTo(logFile)
  const broker = await startDaemon({
    file,
    args,
    env,
    cwd: dir,
    output: { file: logFile },
    outlive,
    onSpawn: (pid) => onSpawn?.(pid, 'rabbitmq'),
  })
  // The broker's child processes have sessions of their own. They end after the broker, with a delay.
  let children: ProcessIdentity[] = []
  const exited = broker.exited.then(async (exit) => {
    await untilGone(children)
    await cleanUp?.()
    return exit
  })
  const urls = localUrls(ports)
  const isReady = () => {
    children = descendantsOf(broker.pid)
    return isRabbitmqReady({ managementUrl: urls.managementUrl, amqpPort: ports.amqp }, clusterName)
  }
  if (await untilReady(broker, isReady, { deadlineMs, intervalMs: 250, signal })) {
    return {
      ...urls,
      port: ports.amqp,
      managementPort: ports.management,
      /** The broker's process: SIGKILL to it is a sudden death of the broker. */
      pid: broker.pid,
      logFile,
      exited,
      ctl,
      /** Sends SIGTERM, and SIGKILL `patienceMs` later. By default that is when every confirmed message is on disk. */
      async stop({ patienceMs = stopPatienceMs } = {}) {
        await broker.stop([{ signal: 'SIGTERM', patienceMs }])
        await exited
      },
    }
  }
  await broker.stop([])
  await exited
  signal?.throwIfAborted()
  const output = readOutput()
  if (/eaddrinuse|already in use|port is already allocated/i.test(output))
    throw new PortTakenError('RabbitMQ', [ports.amqp, ports.management, ports.distribution])
  throw new StartError(`RabbitMQ did not start; the end of ${logFile}:\n${output.slice(-OUTPUT_BYTES_MAX)}`)
}

export function logFileIn(dir: string): string {
  return join(dir, 'rabbitmq.log')
}

/** The URLs of a broker of ours, with RabbitMQ's default login. */
export function localUrls(ports: Pick<RabbitmqPorts, 'amqp' | 'management'>): { url: string; managementUrl: string } {
  return {
    url: `amqp://guest:guest@127.0.0.1:${ports.amqp}/`,
    managementUrl: `http://guest:guest@127.0.0.1:${ports.management}`,
  }
}
