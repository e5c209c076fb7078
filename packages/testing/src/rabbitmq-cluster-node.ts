import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import {
  type BrokerIdentity,
  killTree,
  launchBroker,
  localUrls,
  PortTakenError,
  type RabbitmqPorts,
  type RabbitmqPrograms,
  type RabbitmqServer,
  StartError,
} from '@cashflow/dev-stack'

export type RabbitmqClusterNode = ReturnType<typeof createClusterNode>

/** Nodes that start together share the machine, and wait for each other. */
const START_DEADLINE_MS = 240_000

export function createClusterNode(
  programs: RabbitmqPrograms,
  identity: BrokerIdentity,
  ports: RabbitmqPorts,
  dir: string,
) {
  let server: RabbitmqServer | undefined
  let starting: { ended: Promise<void>; giveUp: AbortController } | undefined

  async function launch(signal: AbortSignal): Promise<void> {
    const started = await launchBroker(programs, identity, ports, { dir, signal, deadlineMs: START_DEADLINE_MS })
    if (started.outcome === 'port_taken') {
      throw new PortTakenError(identity.nodeName, [ports.amqp, ports.management, ports.distribution])
    }
    if (started.outcome !== 'ready') {
      throw new StartError(`${identity.nodeName} did not start; the end of ${started.logFile}:\n${started.output}`)
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

  /** Ends the node. If it is starting, the start is aborted first. */
  async function end(how: (server: RabbitmqServer) => Promise<unknown>): Promise<void> {
    starting?.giveUp.abort(new StartError(`${identity.nodeName} was ended while it started`))
    await starting?.ended.catch(() => {})
    if (server) await how(server)
  }

  return {
    name: identity.nodeName,
    ...localUrls(ports),
    /** @throws Error when it does not run */
    get pid() {
      return running().pid
    },
    get isRunning() {
      return server !== undefined
    },
    /** Sends SIGKILL to all its processes, and resolves when they have ended. */
    kill: () =>
      end(({ pid, exited }) => {
        killTree(pid)
        return exited
      }),
    /**
     * Sends SIGTERM, and SIGKILL `patienceMs` milliseconds later. By default that is when every confirmed message is on
     * disk.
     */
    shutDown: (options?: { patienceMs?: number }) => end((server) => server.stop(options)),
    /**
     * Starts it with its data, and resolves when it answers.
     *
     * @throws StartError also when other nodes that it waits for do not start: after all were down, start all at once
     */
    async start() {
      if (server) return
      const giveUp = new AbortController()
      const ended = launch(giveUp.signal).finally(() => {
        starting = undefined
      })
      starting = { ended, giveUp }
      await ended
    },
    /** Removes the data of a node that does not run. Wipe all nodes before the cluster's `start()` makes a new cluster. */
    async wipe() {
      if (server || starting) throw new Error(`${identity.nodeName} runs, and only a stopped node can be wiped`)
      rmSync(join(dir, 'data'), { recursive: true, force: true })
    },
    hasData: () => existsSync(join(dir, 'data')),
    ctl: (...args: string[]) => running().ctl(...args),
  }
}
