import { uuidv7 } from '@cashflow/runtime'
import type { ConsumeMessage } from 'amqplib'
import type { Benchmark, Context } from '../benchmark.ts'
import { drain } from '../drain/drain.ts'
import { createOrderCheck, type Placed } from '../drain/order.ts'
import { productRelay } from '../drain/own-relays.ts'
import { openConnection, withErrorListener } from '../queue/connection.ts'
import { orderedMessages } from '../queue/messages.ts'
import { TOPOLOGY } from '../queue/queue.ts'
import type { Pace } from '../resources.ts'
import { alternate, compare } from '../rounds.ts'
import { work } from '../workers/work.ts'
import { productWorker } from '../workers/workers.ts'

const KEYS = 40_000
const PER_KEY = 5
const PAYMENTS = 100_000

export const scale: Benchmark = {
  name: 'scale',
  title: `2 relays against 1 draining ${KEYS * PER_KEY} messages, ${PER_KEY} of each key in order; 2 workers against 1 settling ${PAYMENTS} payments`,
  async run(context) {
    const count = context.quick ? 100 : PAYMENTS
    const worker = productWorker(context.product)
    const rounds = await alternate(
      {
        '1 relay': () => drainInOrder(context, 1),
        '2 relays': () => drainInOrder(context, 2),
        '1 worker': () => work(context, worker, { count, instances: 1 }),
        '2 workers': () => work(context, worker, { count, instances: 2 }),
      },
      context,
    )
    const ratios = [
      ['2 relays', '1 relay'],
      ['2 workers', '1 worker'],
    ] as const
    const rows = compare(rounds, { metric: 'rate', what: 'messages', unit: '/s', ratios })
    return [...rows, { what: 'messages that came before an earlier one of their key', value: 0, unit: '' }]
  },
  alone: { items: 'messages by 2 relays', measure: (context) => drainInOrder(context, 2) },
}

/** Drains messages with their order checked. @throws Error when a message came before an earlier one of its key */
function drainInOrder(context: Context, instances: number): Promise<Pace> {
  const [keys, warmUp] = context.quick ? [200, 100] : [KEYS, 20_000]
  const ids = Array.from({ length: keys }, () => uuidv7())
  const count = keys * PER_KEY
  return drain(context, productRelay(context.product), {
    warmUp,
    messages: orderedMessages(ids, PER_KEY),
    count,
    instances,
    async check({ place }) {
      const order = createOrderCheck()
      await takeMessages<Partial<Placed>>(place.brokerUrl, warmUp + count, order.see)
      if (order.reordered > 0) throw new Error(`${order.reordered} messages came before an earlier one of their key`)
      if (order.complete(PER_KEY) !== keys) throw new Error('some messages are missing')
    },
  })
}

const PREFETCH = 1_000

/** Consumes the next `count` messages of the work queue, in their order. */
async function takeMessages<Body>(url: string, count: number, see: (body: Body) => void): Promise<void> {
  const connection = await openConnection(url)
  const channel = withErrorListener(await connection.createChannel())
  await channel.prefetch(PREFETCH)
  await new Promise<void>((resolve, reject) => {
    channel.once('close', () => reject(new Error('the channel is closed')))
    let taken = 0
    const take = (message: ConsumeMessage | null) => {
      if (!message) return reject(new Error('the queue is gone'))
      taken += 1
      see(JSON.parse(message.content.toString()))
      if (taken % (PREFETCH / 2) === 0 || taken === count) channel.ack(message, true)
      if (taken === count) resolve()
    }
    channel.consume(TOPOLOGY.queue, take).catch(reject)
  })
  await connection.close()
}
