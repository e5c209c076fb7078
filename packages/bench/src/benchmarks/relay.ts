import { uuidv7 } from '@cashflow/runtime'
import type { Benchmark, Context } from '../benchmark.ts'
import { drain, type Relay } from '../drain/drain.ts'
import { barePublisher, peerRelay, productRelay, textbookRelay } from '../drain/relays.ts'
import { graphileWorker } from '../peers/graphile-worker.ts'
import { pgBoss } from '../peers/pg-boss.ts'
import { pgTransactionalOutbox } from '../peers/pg-transactional-outbox.ts'
import { createdMessages, orderedMessages } from '../queue/messages.ts'
import { takeMessages } from '../queue/queue.ts'
import type { Pace } from '../resources.ts'

const COUNT = 200_000
const LIMIT_MS = 20_000
const PER_KEY = 5

export const relay: Benchmark = {
  name: 'relay',
  title: `draining ${COUNT.toLocaleString('en-US')} messages with one process of each relay, for at most ${LIMIT_MS / 1_000} s; 2 relays against 1, with ${PER_KEY} messages of each key in order`,
  figures: [{ metric: 'rate', what: 'messages', unit: '/s' }],
  ratios: [
    ['product', 'bare confirm publisher'],
    ['product', 'textbook'],
    ['product', 'pg-transactional-outbox'],
    ['product', 'pg-boss'],
    ['product', 'graphile-worker'],
    ['2 relays, in order', '1 relay, in order'],
  ],
  compared: 'product',
  variants(context) {
    const { warmUp, count } = sizes(context)
    const measure = (which: Relay, size?: number) => () => measureRelay(context, which, size)
    return {
      product: measure(productRelay(context.product)),
      'bare confirm publisher': measure(barePublisher([warmUp, count])),
      textbook: measure(textbookRelay),
      // Its warm-up alone takes seconds.
      'pg-transactional-outbox': measure(peerRelay(pgTransactionalOutbox), warmUp / 10),
      'pg-boss': measure(peerRelay(pgBoss)),
      'graphile-worker': measure(peerRelay(graphileWorker)),
      '1 relay, in order': () => drainInOrder(context, 1),
      '2 relays, in order': () => drainInOrder(context, 2),
    }
  },
}

function sizes({ quick }: Context) {
  return quick ? { warmUp: 100, count: 300, limitMs: 2_000 } : { warmUp: 20_000, count: COUNT, limitMs: LIMIT_MS }
}

function measureRelay(context: Context, which: Relay, warmUp = sizes(context).warmUp): Promise<Pace> {
  const { count, limitMs } = sizes(context)
  return drain(context, which, { warmUp, messages: createdMessages(count), count, limitMs })
}

/** Drains messages with their order checked. @throws Error when a message came before an earlier one of its key */
function drainInOrder(context: Context, instances: number): Promise<Pace> {
  const { warmUp, count } = sizes(context)
  const keys = Array.from({ length: count / PER_KEY }, () => uuidv7())
  return drain(context, productRelay(context.product), {
    warmUp,
    messages: orderedMessages(keys, PER_KEY),
    count,
    instances,
    async check({ brokerUrl }) {
      const order = createOrderCheck()
      await takeMessages(brokerUrl, warmUp + count, (body) => order.see(JSON.parse(body.toString())))
      if (order.reordered > 0) throw new Error(`${order.reordered} messages came before an earlier one of their key`)
      if (order.complete(PER_KEY) !== keys.length) throw new Error('some messages are missing')
    },
  })
}

/** Checks the order of deliveries. A duplicate may come late, but no message before an earlier one of its key. */
export function createOrderCheck() {
  const nextPlaces = new Map<string, number>()
  let reordered = 0
  return {
    /** Takes the body of the next delivery. A message without the place of `orderedMessages` is not checked. */
    see({ payment_id: key, place }: { readonly payment_id?: string; readonly place?: number }): void {
      if (key === undefined || place === undefined) return
      const next = nextPlaces.get(key) ?? 0
      if (place > next) reordered += 1
      nextPlaces.set(key, Math.max(next, place + 1))
    },
    /** Number of messages that came before an earlier one of their key. */
    get reordered() {
      return reordered
    },
    /** Returns the number of keys whose last message has come. */
    complete: (perKey: number) => [...nextPlaces.values()].filter((next) => next === perKey).length,
  }
}
