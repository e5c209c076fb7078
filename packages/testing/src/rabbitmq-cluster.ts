import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { defined, eventually } from '@cashflow/async'
import {
  askManagement,
  type BrokerIdentity,
  type Daemon,
  findPrograms,
  freePorts,
  killTree,
  launchBroker,
  localUrls,
  onPorts,
  PortTakenError,
  type RabbitmqPorts,
  type RabbitmqPrograms,
  type RabbitmqServer,
  StartError,
  startEpmd,
} from '@cashflow/dev-stack'

interface RabbitmqClusterOptions {
  /** Folder for data, configuration and logs. */
  dir: string
  size: 1 | 3
  /** Returns lines to add to a node's rabbitmq.conf. `port` is a free one, such as for a listener with TLS. */
  settings?: (port: number) => readonly string[]
  log?: (line: string) => void
}

export type RabbitmqCluster = ReturnType<typeof toCluster>
export type RabbitmqClusterNode = ReturnType<typeof createClusterNode>

/** Nodes that start together share the machine, and wait for each other. */
const START_DEADLINE_MS = 240_000
const JOIN_DEADLINE_MS = 60_000

/**
 * Starts the nodes of one private RabbitMQ. They share a name server and a cookie, which no other broker has.
 *
 * @throws StartError where RabbitMQ could only run in Docker
 */
export async function startRabbitmqCluster(options: RabbitmqClusterOptions) {
  const { programs } = await findPrograms(options)
  if (!programs) {
    throw new StartError('A RabbitMQ cluster needs a rabbitmq-server that is installed, or that apt-get can download')
  }
  const { server } = await onPorts(
    () => freePorts(1 + 4 * options.size),
    (ports) => form(programs, options, ports),
  )
  return server
}

async function form(programs: RabbitmqPrograms, options: RabbitmqClusterOptions, ports: number[]) {
  const dir = resolve(options.dir)
  const nextPort = () => defined(ports.pop(), 'free port')
  const epmdPort = nextPort()
  makeCookie(dir)
  await using unfinished = new AsyncDisposableStack()
  const epmd = await startEpmd(programs, epmdPort, { dir })
  const cluster = toCluster(createNodes(programs, { ...options, dir }, epmdPort, nextPort), epmd)
  unfinished.defer(cluster.stop)
  await cluster.start().catch((error) => {
    if (epmd.isRunning()) throw error
  })
  // epmd ended by itself: another process took its port first, and answers there.
  if (!epmd.isRunning()) throw new PortTakenError('epmd', [epmdPort])
  unfinished.move()
  return cluster
}

/** Creates the cookie before the nodes start, since each node would create its own. */
function makeCookie(dir: string): void {
  mkdirSync(dir, { recursive: true })
  const file = join(dir, '.erlang.cookie')
  if (!existsSync(file)) writeFileSync(file, randomBytes(16).toString('hex'), { mode: 0o400 })
}

function createNodes(
  programs: RabbitmqPrograms,
  { dir, size, settings = () => [] }: RabbitmqClusterOptions,
  epmd: number,
  nextPort: () => number,
): RabbitmqClusterNode[] {
  const names = Array.from({ length: size }, (_, index) => `cashflow-${index + 1}@localhost`)
  const discovery = [
    'cluster_formation.peer_discovery_backend = classic_config',
    ...names.map((name, index) => `cluster_formation.classic_config.nodes.${index + 1} = ${name}`),
  ]
  const clusterName = `cashflow-${epmd}-${process.pid}`
  return names.map((nodeName, index) => {
    // The first node of a new cluster finds no other, and need not retry for long.
    const found = [...discovery, ...(index === 0 ? ['cluster_formation.discovery_retry_limit = 1'] : [])]
    const tlsPort = nextPort()
    const lines = [...(size > 1 ? found : []), ...settings(tlsPort)]
    const identity = { nodeName, clusterName, cookieFolder: dir, settings: lines }
    const ports = { amqp: nextPort(), management: nextPort(), distribution: nextPort(), epmd }
    return createClusterNode(programs, identity, { ...ports, tls: tlsPort }, join(dir, `node-${index + 1}`))
  })
}

function createClusterNode(
  programs: RabbitmqPrograms,
  identity: BrokerIdentity,
  ports: RabbitmqPorts & { tls: number },
  dir: string,
) {
  let server: RabbitmqServer | undefined
  let starting: { ended: Promise<void>; giveUp: AbortController } | undefined

  async function launch(signal: AbortSignal): Promise<void> {
    server = await launchBroker(programs, identity, ports, { dir, signal, deadlineMs: START_DEADLINE_MS })
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
    /** The port that `settings` got. */
    tlsPort: ports.tls,
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

function toCluster(nodes: readonly RabbitmqClusterNode[], epmd: Daemon) {
  return {
    /** Each node keeps its address as long as the cluster exists. */
    nodes,
    /** Starts all stopped nodes at once. Resolves when all answer, and each sees all nodes running in its cluster. */
    async start() {
      // Three empty nodes that start at once would wait for each other, so an empty cluster begins with its first node.
      if (nodes.every((node) => !node.hasData())) await nodes[0]?.start()
      await Promise.all(nodes.map((node) => node.start()))
      await Promise.all(nodes.map((node) => seesAll(node, nodes.length)))
    },
    /** Stops all nodes and their name server. The data stays. */
    async stop() {
      await Promise.all(nodes.map((node) => node.shutDown()))
      await epmd.stop([])
    },
    /** Returns the node that leads a quorum queue. @throws Error when no running node knows a running leader */
    async queueLeader(vhost: string, queue: string) {
      const path = `/queues/${encodeURIComponent(vhost)}/${encodeURIComponent(queue)}`
      for (const node of nodes.filter(({ isRunning }) => isRunning)) {
        const found = await askManagement<{ leader?: string; node?: string }>(node.managementUrl, path)
        const leader = nodes.find(({ name, isRunning }) => isRunning && name === (found?.leader ?? found?.node))
        if (leader) return leader
      }
      throw new Error(`no node knows a running leader of the queue ${queue}`)
    },
  }
}

function seesAll({ name, managementUrl }: RabbitmqClusterNode, size: number): Promise<void> {
  const expectAll = async () => {
    const members = (await askManagement<{ running: boolean }[]>(managementUrl, '/nodes')) ?? []
    if (members.filter(({ running }) => running).length !== size)
      throw new StartError(`${name} is in a cluster of ${members.length} nodes, not ${size}`)
  }
  return eventually(expectAll, { timeoutMs: JOIN_DEADLINE_MS, intervalMs: 100 })
}
