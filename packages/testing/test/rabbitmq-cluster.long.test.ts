import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import {
  eventually,
  management,
  type RabbitmqCluster,
  type RabbitmqClusterNode,
  startRabbitmqCluster,
} from '../src/index.ts'

interface Queue {
  members: string[]
  online: string[]
}

describe('RabbitMQ cluster of three nodes', function () {
  this.timeout(400_000) // Three brokers may share two busy cores.
  let dir: string
  let cluster: RabbitmqCluster
  let names: string[]
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cashflow test '))
    cluster = await startRabbitmqCluster({ dir, size: 3 })
    names = cluster.nodes.map(({ name }) => name)
  })
  after(async () => {
    await cluster?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  const ask = async <Answer>(node: RabbitmqClusterNode, method: string, path: string, body?: unknown) =>
    (await management(node.managementUrl).request(method, path, body)) as Answer

  /** Reads the messages through a running node, once the queue answers, and leaves them in the queue. */
  const payloads = (by: RabbitmqClusterNode) =>
    eventually(async () => {
      const settings = { count: 10, ackmode: 'ack_requeue_true', encoding: 'auto' }
      const messages = await ask<{ payload: string }[]>(by, 'POST', '/queues/%2F/kept/get', settings)
      expect(messages).not.to.be.empty
      return messages.map(({ payload }) => payload)
    })

  const leader = () => eventually(() => cluster.queueLeader('/', 'kept'))

  it('keeps the confirmed messages of a quorum queue when its leader is killed', async () => {
    const [any] = cluster.nodes as [RabbitmqClusterNode]
    const quorum = { durable: true, arguments: { 'x-queue-type': 'quorum' } }
    await ask(any, 'PUT', '/queues/%2F/kept', quorum)
    const message = {
      properties: { delivery_mode: 2 },
      routing_key: 'kept',
      payload: 'kept',
      payload_encoding: 'string',
    }
    // The management API publishes with a confirm.
    await ask(any, 'POST', '/exchanges/%2F/amq.default/publish', message)
    expect((await ask<Queue>(any, 'GET', '/queues/%2F/kept')).members).to.have.members(names)

    const lost = await leader()
    await lost.kill()
    expect(lost.isRunning).to.equal(false)
    expect(() => lost.pid).to.throw('does not run')
    const next = await leader()
    expect(next.name).not.to.equal(lost.name)
    expect(await payloads(next)).to.deep.equal(['kept'])
  })

  it('RabbitMQ cluster is new and empty after all nodes have lost their data', async () => {
    await Promise.all(cluster.nodes.map((node) => node.kill()))
    await Promise.all(cluster.nodes.map((node) => node.wipe()))
    await cluster.start()
    for (const node of cluster.nodes) expect(await ask(node, 'GET', '/queues')).to.deep.equal([])
    expect(await cluster.nodes[1]?.ctl('cluster_status', '--formatter', 'json')).to.contain(names[2])
  })
})
