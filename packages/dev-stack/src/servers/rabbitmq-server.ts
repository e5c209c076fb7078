import { join, resolve } from 'node:path'
import { appendedTo } from '../files.ts'
import { type Exit, startDaemon, untilReady } from '../processes/daemon.ts'
import { descendantsOf, type ProcessIdentity, untilGone } from '../processes/process-table.ts'
import { isRabbitmqReady } from './rabbitmq-management.ts'
import type { ServerOptions } from './server-options.ts'

export interface RabbitmqOptions extends ServerOptions {
  /** Default: free ones. */
  ports?: { amqp?: number; management?: number }
}

export interface RabbitmqServer {
  url: string
  managementUrl: string
  port: number
  managementPort: number
  /** The broker's process: SIGKILL to it is a sudden death of the broker. */
  pid: number
  logFile: string
  exited: Promise<Exit>
  /** Runs rabbitmqctl against this broker and returns its output. */
  ctl(...args: string[]): Promise<string>
  /**
   * Sends SIGTERM, and SIGKILL `patienceMs` milliseconds later. By default that is when every confirmed message is on
   * disk.
   */
  stop(options?: { patienceMs?: number }): Promise<void>
}

export interface RabbitmqPorts {
  amqp: number
  management: number
  distribution: number
  epmd: number
}

export type Launch =
  | { outcome: 'ready'; server: RabbitmqServer }
  | { outcome: 'port_taken' | 'failed'; logFile: string; output: string }

/** One attempt to start a broker. */
export type Launcher = (ports: RabbitmqPorts, options: RabbitmqOptions) => Promise<Launch>

/** A command that runs a broker until it is stopped. */
interface BrokerCommand {
  file: string
  args: string[]
  env: NodeJS.ProcessEnv
  /** The broker's name in the management API. Without one, any broker that answers on the ports is accepted. */
  clusterName?: string
  ctl: RabbitmqServer['ctl']
  stopPatienceMs: number
}

export interface LaunchOptions extends RabbitmqOptions {
  deadlineMs?: number
  cleanUp?: () => Promise<unknown>
}

const START_DEADLINE_MS = 120_000
/** Maximum length of the log's end that a failed `Launch` has. */
const OUTPUT_BYTES_MAX = 4_000

/** Runs the command, and waits until the broker is ready. The process has ended if it does not become ready. */
export async function launchCommand(
  { file, args, env, clusterName, ctl, stopPatienceMs }: BrokerCommand,
  ports: RabbitmqPorts,
  { onSpawn, outlive, signal, cleanUp, deadlineMs = START_DEADLINE_MS, ...options }: LaunchOptions,
): Promise<Launch> {
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
    const { amqp: port, management: managementPort } = ports
    const stop: RabbitmqServer['stop'] = async ({ patienceMs = stopPatienceMs } = {}) => {
      await broker.stop([{ signal: 'SIGTERM', patienceMs }])
      await exited
    }
    return { outcome: 'ready', server: { ...urls, port, managementPort, pid: broker.pid, logFile, exited, ctl, stop } }
  }
  await broker.stop([])
  await exited
  const output = readOutput()
  const outcome = /eaddrinuse|already in use|port is already allocated/i.test(output) ? 'port_taken' : 'failed'
  return { outcome, logFile, output: output.slice(-OUTPUT_BYTES_MAX) }
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
