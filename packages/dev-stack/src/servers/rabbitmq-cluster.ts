import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts } from '../ports.ts'
import type { Daemon } from '../processes/daemon.ts'
import { PortTakenError, StartError } from '../start-error.ts'
import { type ClusterNode, createClusterNode, type RabbitmqClusterNode } from './rabbitmq-cluster-node.ts'
import type { RabbitmqPrograms } from './rabbitmq-installed.ts'
import { findPrograms } from './rabbitmq-launcher.ts'
import { askManagement } from './rabbitmq-management.ts'
import { startEpmd } from './rabbitmq-node.ts'

export type RabbitmqClusterOptions = {
  /** Data, configuration and logs live in it. */
  dir: string
  size: 1 | 3
  log?: (line: string) => void
}

export interface RabbitmqCluster {
  /** Their addresses stay the same for the life of the cluster. */
  readonly nodes: readonly RabbitmqClusterNode[]
  /** Starts all that do not run, at once; resolves when all answer, and each sees all running in its cluster. */
  start(): Promise<void>
  /** Stops all for good; the data stays. */
  stop(): Promise<void>
  /** @throws Error when no running node knows of a leader that runs */
  queueLeader(vhost: string, queue: string): Promise<RabbitmqClusterNode>
}

const START_TRIES = 3
const JOIN_DEADLINE_MS = 60_000

/**
 * Nodes of one private RabbitMQ: they share a name server, which outlives them, and a cookie, with nobody else.
 *
 * @throws StartError where RabbitMQ could only run in Docker
 */
export async function startRabbitmqCluster(options: RabbitmqClusterOptions): Promise<RabbitmqCluster> {
  const { programs } = await findPrograms(options)
  if (!programs) {
    throw new StartError('A RabbitMQ cluster needs a rabbitmq-server that is installed, or that apt-get can download')
  }
  for (let attempt = 1; ; attempt++) {
    try {
      return await form(programs, options)
    } catch (error) {
      // Somebody else took a port that was free.
      if (!(error instanceof PortTakenError) || attempt === START_TRIES) throw error
    }
  }
}

async function form(programs: RabbitmqPrograms, options: RabbitmqClusterOptions): Promise<RabbitmqCluster> {
  const { size } = options
  const dir = resolve(options.dir)
  const [epmdPort, ...ports] = (await freePorts(1 + 3 * size)) as [number, ...number[]]
  const cookieFolder = makeCookie(dir)
  const epmd = await startEpmd(programs, epmdPort, { dir })
  const nodes = createNodes(programs, { dir, cookieFolder, size }, epmdPort, ports)
  const cluster = toCluster(nodes, epmd)
  try {
    await cluster.start()
    if (epmd.isRunning()) return cluster
  } catch (error) {
    if (epmd.isRunning()) {
      await cluster.stop()
      throw error
    }
  }
  // It ended by itself: what answers on its port, if anything, is another's.
  await cluster.stop()
  throw new PortTakenError('epmd', [epmdPort])
}

/** Made before the nodes start: each would make its own. */
function makeCookie(dir: string): string {
  mkdirSync(dir, { recursive: true })
  const file = join(dir, '.erlang.cookie')
  if (!existsSync(file)) writeFileSync(file, randomBytes(16).toString('hex'), { mode: 0o400 })
  return dir
}

function createNodes(
  programs: RabbitmqPrograms,
  { dir, cookieFolder, size }: { dir: string; cookieFolder: string; size: number },
  epmd: number,
  ports: number[],
): ClusterNode[] {
  const names = Array.from({ length: size }, (_, index) => `cashflow-${index + 1}@localhost`)
  const discovery = [
    'cluster_formation.peer_discovery_backend = classic_config',
    ...names.map((name, index) => `cluster_formation.classic_config.nodes.${index + 1} = ${name}`),
  ]
  const clusterName = `cashflow-${epmd}-${process.pid}`
  return names.map((nodeName, index) => {
    const [amqp, management, distribution] = ports.slice(index * 3) as [number, number, number]
    // The first finds nobody in a new cluster, and need not look for long.
    const settings = [...discovery, ...(index === 0 ? ['cluster_formation.discovery_retry_limit = 1'] : [])]
    return createClusterNode({
      dir: join(dir, `node-${index + 1}`),
      programs,
      identity: { nodeName, clusterName, cookieFolder, settings: size > 1 ? settings : [] },
      ports: { amqp, management, distribution, epmd },
    })
  })
}

function toCluster(nodes: ClusterNode[], epmd: Daemon): RabbitmqCluster {
  return {
    nodes,
    async start() {
      // An empty cluster grows from its first node. Of three empty ones that start at once each waits for the others.
      if (nodes.every((node) => !node.hasData())) await nodes[0]?.start()
      await Promise.all(nodes.map((node) => node.start()))
      await Promise.all(nodes.map((node) => seesAll(node, nodes.length)))
    },
    async stop() {
      await Promise.all(nodes.map((node) => node.shutDown()))
      await epmd.stop([])
    },
    async queueLeader(vhost, queue) {
      const path = `/queues/${encodeURIComponent(vhost)}/${encodeURIComponent(queue)}`
      for (const node of nodes.filter(({ isRunning }) => isRunning)) {
        const found = await askManagement<{ leader?: string; node?: string }>(node.managementPort, path)
        const leader = nodes.find(({ name, isRunning }) => isRunning && name === (found?.leader ?? found?.node))
        if (leader) return leader
      }
      throw new Error(`no node knows a leader of the queue ${queue} that runs`)
    },
  }
}

async function seesAll({ name, managementPort }: ClusterNode, size: number): Promise<void> {
  const deadline = Date.now() + JOIN_DEADLINE_MS
  for (;;) {
    const members = (await askManagement<{ running: boolean }[]>(managementPort, '/nodes')) ?? []
    if (members.filter(({ running }) => running).length === size) return
    if (Date.now() > deadline) throw new StartError(`${name} is in a cluster of ${members.length} nodes, not ${size}`)
    await sleep(100)
  }
}
