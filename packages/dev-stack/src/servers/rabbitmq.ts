import { freePorts, isPortFree } from '../ports.ts'
import type { Exit } from '../processes/daemon.ts'
import { PortTakenError, StartError } from '../start-error.ts'
import { findLauncher } from './rabbitmq-launcher.ts'

export type RabbitmqOptions = {
  /** Data, configuration and log live in it. */
  dir: string
  /** Default: free ones. */
  ports?: { amqp?: number; management?: number }
  /** Told what takes time. */
  log?: (line: string) => void
  /** Told of each process at once, so that it can be found again if this process is killed. */
  onSpawn?: (pid: number, role: 'rabbitmq' | 'epmd') => void
  /** Whether the server may run on if this process is killed, because somebody will find it again. Default: false. */
  outlive?: boolean
  /** Gives up starting. */
  signal?: AbortSignal
}

export type RabbitmqServer = {
  url: string
  managementUrl: string
  port: number
  managementPort: number
  /** The broker's; kill -9 on it is a broker's sudden death. */
  pid: number
  logFile: string
  exited: Promise<Exit>
  /** Runs rabbitmqctl against this broker and returns what it prints. */
  ctl(...args: string[]): Promise<string>
  /** SIGTERM, then SIGKILL to what has not ended when its time is up: by default when all that it confirmed is on disk. */
  stop(options?: { patienceMs?: number }): Promise<void>
}

const START_TRIES = 3

/**
 * Resolves when AMQP and the management API answer. The data survives in any case.
 *
 * @throws PortTakenError if a port that was asked for is another's; StartError if there is no way to run one here
 */
export async function startRabbitmq(options: RabbitmqOptions): Promise<RabbitmqServer> {
  const launch = await findLauncher(options)
  for (let attempt = 1; ; attempt++) {
    const [amqp, management, distribution, epmd] = await freePorts(4)
    const ports = { amqp, management, distribution, epmd, ...options.ports }
    const start = await launch(ports, options)
    if (start.outcome === 'ready') return start.server
    options.signal?.throwIfAborted()
    if (start.outcome === 'port taken') {
      const taken = await portsTaken(Object.values(options.ports ?? {}))
      if (taken.length > 0) throw new PortTakenError('RabbitMQ', taken)
      // Somebody else took one of the free ones first.
      if (attempt < START_TRIES) continue
    }
    throw new StartError(`RabbitMQ did not start (${start.outcome}); the end of ${start.logFile}:\n${start.said}`)
  }
}

async function portsTaken(ports: readonly number[]): Promise<number[]> {
  const free = await Promise.all(ports.map(isPortFree))
  return ports.filter((_, index) => !free[index])
}
