import type { Exit } from '../processes/daemon.ts'

export interface RabbitmqOptions {
  /** Folder for data, configuration and log. */
  dir: string
  /** Default: free ones. */
  ports?: { amqp?: number; management?: number }
  /** Called before each step that takes time. */
  log?: (line: string) => void
  /** Called with each process in the tick in which it starts, so that a later run can find it. */
  onSpawn?: (pid: number, role: 'rabbitmq' | 'epmd') => void
  /** Lets the server run on when this process ends: the caller stops it later. Default: false. */
  outlive?: boolean
  /** Ends the attempt to start. */
  signal?: AbortSignal
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

/** How much of the log a failed `Launch` has, from its end. */
export const OUTPUT_BYTES_MAX = 4_000

/** The URLs of a broker of ours, with RabbitMQ's default login. */
export function localUrls(ports: Pick<RabbitmqPorts, 'amqp' | 'management'>): { url: string; managementUrl: string } {
  return {
    url: `amqp://guest:guest@127.0.0.1:${ports.amqp}/`,
    managementUrl: `http://guest:guest@127.0.0.1:${ports.management}`,
  }
}
