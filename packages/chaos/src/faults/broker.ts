import { eventually, management, type RabbitmqClusterNode } from '@cashflow/testing'
import type { Fault, FaultContext } from '../fault.ts'
import { WORK_QUEUE } from '../queues.ts'
import type { System } from '../system.ts'
import { findQueue, restartNodes } from './queue.ts'

/** RabbitMQ is killed, restarted, full, wiped, and loses single nodes. */
export const BROKER_FAULTS: readonly Fault[] = [
  {
    name: 'broker-kill',
    disturbs: ['broker'],
    lastsMs: [0, 3_000],
    recoveryMs: 25_000,
    async run({ broker }, { untilEnd }) {
      await Promise.all(broker.nodes.map((node) => node.kill()))
      await untilEnd()
      await broker.start()
    },
  },
  {
    // A rolling restart, as for a new version: one node after the other, each when all nodes run.
    name: 'broker-restart',
    disturbs: ['broker'],
    lastsMs: [0, 1_000],
    recoveryMs: 45_000,
    run: ({ broker }, { untilEnd }) => restartNodes(broker, untilEnd),
  },
  {
    name: 'broker-alarm',
    disturbs: ['broker'],
    lastsMs: [3_000, 12_000],
    recoveryMs: 3_000,
    async run({ broker }, { random, untilEnd }) {
      const node = random.pick(broker.nodes)
      await node.ctl('set_vm_memory_high_watermark', '0.0000001')
      await eventually(() => hasAlarm(node, true), { timeoutMs: 60_000 })
      await untilEnd()
      await node.ctl('set_vm_memory_high_watermark', '0.4')
      await eventually(() => hasAlarm(node, false), { timeoutMs: 60_000 })
    },
  },
  {
    name: 'broker-wipe',
    disturbs: ['broker', 'broker links'],
    lastsMs: [2_000, 4_000],
    recoveryMs: 30_000,
    async run({ broker, links, observer }, { untilEnd }) {
      // The workers are cut off first, so that messages of the relays stay in the queue. These messages will be lost.
      for (const link of links.broker.of('worker')) link.cut()
      await untilEnd()
      // The services lose confirmed messages here. The observer must have read them before.
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
  nodeKill('node-kill', async ({ broker }, { random }) => random.pick(broker.nodes)),
  nodeKill('leader-kill', ({ broker }) => eventually(() => broker.queueLeader('/', WORK_QUEUE))),
]

function nodeKill(
  name: string,
  choose: (system: System, context: FaultContext) => Promise<RabbitmqClusterNode>,
): Fault {
  return {
    name,
    disturbs: ['broker'],
    lastsMs: [2_000, 8_000],
    recoveryMs: 20_000,
    needs: 'cluster',
    async run(system, context) {
      const node = await choose(system, context)
      await node.kill()
      await context.untilEnd()
      await node.start()
    },
  }
}

async function hasAlarm({ managementUrl }: RabbitmqClusterNode, expected: boolean): Promise<void> {
  const check = management(managementUrl).request('GET', '/health/checks/local-alarms')
  const alarm = await check.then(
    () => false,
    (error: Error) => {
      if (!error.message.includes(': 503 ')) throw error
      return true
    },
  )
  if (alarm !== expected) throw new Error(`the node has ${expected ? 'no alarm yet' : 'still an alarm'}`)
}

const COPIES = 100
const MESSAGES = 5

/** Published messages are published again. */
export const DUPLICATES: Fault = {
  name: 'duplicates',
  disturbs: ['messages'],
  lastsMs: [0, 0],
  recoveryMs: 3_000,
  async run({ duplicator, observer }, { random }) {
    const recent = [...observer.sightings.values()]
      .filter(({ topic }) => topic === 'payment.created' || topic === 'payment.retry')
      .slice(-50)
    const confirmed = await duplicator.publish(random.shuffled(recent).slice(0, MESSAGES), COPIES)
    return confirmed === 0 ? 'no effect' : undefined
  },
}
