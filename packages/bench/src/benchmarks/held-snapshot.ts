import type { Benchmark, Context } from '../benchmark.ts'
import type { Relay } from '../drain/drain.ts'
import { type Drain, drain } from '../drain/drain.ts'
import { productRelay, textbookRelay } from '../drain/own-relays.ts'
import { createdMessages } from '../queue/messages.ts'
import { alternate, compare } from '../rounds.ts'

const COUNT = 1_000_000
// A complete run of the textbook would take an hour.
const TEXTBOOK_SKIP = 200_000
const TEXTBOOK_LIMIT_MS = 20_000
const ROUNDS_MAX = 3

export const heldSnapshot: Benchmark = {
  name: 'held-snapshot',
  title: `draining ${COUNT.toLocaleString('en-US')} messages with and without a snapshot that an old reader holds; the textbook for ${TEXTBOOK_LIMIT_MS / 1_000} s after ${TEXTBOOK_SKIP.toLocaleString('en-US')}`,
  async run(context) {
    const product = productRelay(context.product)
    const part = { skip: context.quick ? 200 : TEXTBOOK_SKIP, limitMs: TEXTBOOK_LIMIT_MS }
    const rounds = await alternate(
      {
        'product, free': () => measure(context, product, false),
        'product, held': () => measure(context, product, true),
        'textbook, free': () => measure(context, textbookRelay, false, part),
        'textbook, held': () => measure(context, textbookRelay, true, part),
      },
      { ...context, rounds: Math.min(context.rounds, ROUNDS_MAX) },
    )
    const ratios = [
      ['product, held', 'product, free'],
      ['textbook, held', 'textbook, free'],
    ] as const
    return compare(rounds, { metric: 'rate', what: 'messages', unit: '/s', ratios })
  },
  alone: {
    items: 'messages, held',
    measure: (context) => measure(context, productRelay(context.product), true),
  },
}

function measure(context: Context, relay: Relay, snapshot: boolean, part: Pick<Drain, 'skip' | 'limitMs'> = {}) {
  const [count, warmUp] = context.quick ? [1_000, 100] : [COUNT, 20_000]
  return drain(context, relay, { warmUp, messages: createdMessages(count), count, snapshot, ...part })
}
