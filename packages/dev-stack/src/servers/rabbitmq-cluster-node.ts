import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { killTree } from '../processes/process-table.ts'
import { PortTakenError, StartError } from '../start-error.ts'
import type { RabbitmqServer } from './rabbitmq.ts'
import type { RabbitmqPrograms } from './rabbitmq-installed.ts'
import type { RabbitmqPorts } from './rabbitmq-launcher.ts'
import { type BrokerIdentity, launchBroker } from './rabbitmq-node.ts'

export interface RabbitmqClusterNode {
  /** Erlang's name of it. */
  readonly name: string
  readonly url: string
  readonly managementUrl: string
  /** @throws Error when it does not run */
  readonly pid: number
  readonly isRunning: boolean
  /** SIGKILL to all of its processes; resolves when they are gone. */
  kill(): Promise<void>
  /** SIGTERM, then SIGKILL to what has not ended when its time is up: by default when all that it confirmed is on disk. */
  shutDown(options?: { patienceMs?: number }): Promise<void>
  /**
   * With its data; resolves when it answers.
   *
   * @throws StartError also when those that it waits for do not come: after all were down, start all at once
   */
  start(): Promise<void>
  /** Removes the data of one that does not run. All have to be wiped before the cluster's `start()` makes a new one. */
  wipe(): Promise<void>
  /** Runs rabbitmqctl against it and returns what it prints. */
  ctl(...args: string[]): Promise<string>
}

export type ClusterNode = RabbitmqClusterNode & { readonly managementPort: number; hasData(): boolean }

/** Nodes that start together share the machine, and wait for each other. */
const START_DEADLINE_MS = 240_000

export type ClusterNodeOptions = {
  dir: string
  programs: RabbitmqPrograms
  identity: BrokerIdentity
  ports: RabbitmqPorts
}

export function createClusterNode({ dir, programs, identity, ports }: ClusterNodeOptions): ClusterNode {
  let server: RabbitmqServer | undefined
  let starting: { over: Promise<void>; giveUp: AbortController } | undefined

  const hasData = () => existsSync(join(dir, 'data'))

  async function launch(signal: AbortSignal): Promise<void> {
    const started = await launchBroker(programs, identity, ports, { dir, signal, deadlineMs: START_DEADLINE_MS })
    if (started.outcome === 'port taken') {
      throw new PortTakenError(identity.nodeName, [ports.amqp, ports.management, ports.distribution])
    }
    if (started.outcome !== 'ready') {
      throw new StartError(`${identity.nodeName} did not start; the end of ${started.logFile}:\n${started.said}`)
    }
    server = started.server
    void server.exited.then(() => {
      server = undefined
    })
  }

  function running(): RabbitmqServer {
    if (!server) throw new Error(`${identity.nodeName} does not run`)
    return server
  }

  /** One that is just starting as well: its start is given up. */
  async function end(how: (server: RabbitmqServer) => Promise<unknown>): Promise<void> {
    starting?.giveUp.abort(new StartError(`${identity.nodeName} was ended while it started`))
    await starting?.over.catch(() => {})
    if (server) await how(server)
  }

  return {
    name: identity.nodeName,
    url: `amqp://guest:guest@127.0.0.1:${ports.amqp}/`,
    managementUrl: `http://guest:guest@127.0.0.1:${ports.management}`,
    managementPort: ports.management,
    get pid() {
      return running().pid
    },
    get isRunning() {
      return server !== undefined
    },
    kill: () =>
      end(({ pid, exited }) => {
        killTree(pid)
        return exited
      }),
    shutDown: (options) => end((server) => server.stop(options)),
    async start() {
      if (server) return
      const giveUp = new AbortController()
      const over = launch(giveUp.signal).finally(() => {
        starting = undefined
      })
      starting = { over, giveUp }
      await over
    },
    async wipe() {
      if (server || starting) throw new Error(`${identity.nodeName} runs: only one that does not can be wiped`)
      rmSync(join(dir, 'data'), { recursive: true, force: true })
    },
    hasData,
    ctl: (...args) => running().ctl(...args),
  }
}
