import type { RabbitmqClusterNode } from '@cashflow/testing'
import { eventually, management } from '@cashflow/testing'
import type { Fault } from '../fault.ts'
import { WORK_QUEUE } from '../queues.ts'
import { findQueue } from './queue.ts'

/** It takes some 6 seconds. */
const SHUT_DOWN_MS = 30_000

/** RabbitMQ dies, restarts, is full, forgets, and loses parts of itself. */
export const BROKER_FAULTS: readonly Fault[] = [
  {
    name: 'broker-kill',
    disturbs: ['broker'],
    lastsMs: [0, 3_000],
    healsMs: 25_000,
    async run({ broker }, { over }) {
      await Promise.all(broker.nodes.map((node) => node.kill()))
      await over()
      await broker.start()
    },
  },
  {
    // As for a new version: one node after the other, each when all run.
    name: 'broker-restart',
    disturbs: ['broker'],
    lastsMs: [0, 1_000],
    healsMs: 45_000,
    async run({ broker }, { over }) {
      for (const node of broker.nodes) {
        await node.shutDown({ patienceMs: SHUT_DOWN_MS })
        await over()
        await broker.start()
      }
    },
  },
  {
    name: 'broker-alarm',
    disturbs: ['broker'],
    lastsMs: [3_000, 12_000],
    healsMs: 3_000,
    async run({ broker }, { random, over }) {
      const node = random.pick(broker.nodes)
      await node.ctl('set_vm_memory_high_watermark', '0.0000001')
      await eventually(() => hasAlarm(node, true), { timeoutMs: 60_000 })
      await over()
      await node.ctl('set_vm_memory_high_watermark', '0.4')
      await eventually(() => hasAlarm(node, false), { timeoutMs: 60_000 })
    },
  },
  {
    name: 'broker-wipe',
    disturbs: ['broker', 'broker links'],
    lastsMs: [2_000, 4_000],
    healsMs: 30_000,
    async run({ broker, links, observer }, { over }) {
      // No worker takes what the relays go on publishing: that is what will be lost.
      for (const link of links.broker.of('worker')) link.cut()
      await over()
      // What RabbitMQ has confirmed is gone for the services, but not for the observer, who must have read it before.
      for (const link of links.broker.of('relay')) link.cut()
      await observer.caughtUp()
      const queue = await eventually(() => findQueue(broker))
      await Promise.all(broker.nodes.map((node) => node.kill()))
      await Promise.all(broker.nodes.map((node) => node.wipe()))
      await broker.start()
      await observer.caughtUp()
      for (const link of links.broker.all) link.restore()
      return queue?.messages ? undefined : 'no effect'
    },
  },
  {
    name: 'node-kill',
    disturbs: ['broker'],
    lastsMs: [2_000, 8_000],
    healsMs: 20_000,
    needs: 'cluster',
    async run({ broker }, { random, over }) {
      const node = random.pick(broker.nodes)
      await node.kill()
      await over()
      await node.start()
    },
  },
  {
    name: 'leader-kill',
    disturbs: ['broker'],
    lastsMs: [2_000, 8_000],
    healsMs: 20_000,
    needs: 'cluster',
    async run({ broker }, { over }) {
      const leader = await eventually(() => broker.queueLeader('/', WORK_QUEUE))
      await leader.kill()
      await over()
      await leader.start()
    },
  },
]

async function hasAlarm({ managementUrl }: RabbitmqClusterNode, expected: boolean): Promise<void> {
  const check = management(managementUrl).request('GET', '/health/checks/local-alarms')
  const alarm = await check.then(
    () => false,
    (error: Error) => {
      if (!error.message.includes(': 503 ')) throw error
      return true
    },
  )
  if (alarm !== expected) throw new Error(`the node has ${expected ? 'no alarm yet' : 'an alarm still'}`)
}
