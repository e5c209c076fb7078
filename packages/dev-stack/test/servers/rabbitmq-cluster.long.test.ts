import { expect } from 'chai'
import { type RabbitmqCluster, startRabbitmqCluster } from '../../src/servers/rabbitmq-cluster.ts'
import type { RabbitmqClusterNode } from '../../src/servers/rabbitmq-cluster-node.ts'
import { eventually } from '../support/eventually.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

interface Queue {
  members: string[]
  online: string[]
}

describe('a cluster of three RabbitMQ nodes', function () {
  this.timeout(400_000) // Three brokers share what may be two busy cores.
  const folder = temporaryFolder()
  let cluster: RabbitmqCluster
  let names: string[]
  before(async () => {
    cluster = await startRabbitmqCluster({ dir: folder.path, size: 3 })
    names = cluster.nodes.map(({ name }) => name)
  })
  after(async () => {
    await cluster?.stop()
    folder.remove()
  })

  async function ask<Answer>(node: RabbitmqClusterNode, method: string, path: string, body?: unknown): Promise<Answer> {
    const { origin, username, password } = new URL(node.managementUrl)
    const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
    const response = await fetch(`${origin}/api${path}`, {
      method,
      headers: { authorization, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return JSON.parse(text || 'null')
  }

  /** Through a node that runs, once the queue answers again; the messages stay. */
  const payloads = (by: RabbitmqClusterNode) =>
    eventually(async () => {
      const settings = { count: 10, ackmode: 'ack_requeue_true', encoding: 'auto' }
      const messages = await ask<{ payload: string }[]>(by, 'POST', '/queues/%2F/kept/get', settings)
      expect(messages).not.to.be.empty
      return messages.map(({ payload }) => payload)
    })

  const leader = () => eventually(() => cluster.queueLeader('/', 'kept'))

  it('keeps what a quorum queue has confirmed when the node that leads it is killed', async () => {
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

  it('is a new one, and empty, when all have lost their data', async () => {
    await Promise.all(cluster.nodes.map((node) => node.kill()))
    await Promise.all(cluster.nodes.map((node) => node.wipe()))
    await cluster.start()
    for (const node of cluster.nodes) expect(await ask(node, 'GET', '/queues')).to.deep.equal([])
    expect(await cluster.nodes[1]?.ctl('cluster_status', '--formatter', 'json')).to.contain(names[2])
  })
})
