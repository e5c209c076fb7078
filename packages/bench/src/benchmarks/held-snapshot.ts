import type { Benchmark } from '../benchmark.ts'
import { drain } from '../drain/drain.ts'
import { productRelay, textbookRelay } from '../drain/own-relays.ts'
import type { Relay } from '../drain/relay.ts'
import { createdMessages } from '../queue/messages.ts'
import { alternate, compare } from '../rounds.ts'

const COUNT = 1_000_000
// The textbook would take an hour.
const TEXTBOOK_SKIP = 200_000
const TEXTBOOK_LIMIT_MS = 20_000
const ROUNDS_MAX = 3

export const heldSnapshot: Benchmark = {
  name: 'held-snapshot',
  title: `draining ${COUNT.toLocaleString('en-US')} messages while an old reader's snapshot is held, and without; the textbook for ${TEXTBOOK_LIMIT_MS / 1_000} s after ${TEXTBOOK_SKIP.toLocaleString('en-US')}`,
  async run(context) {
    const [count, warmUp, skip] = context.quick ? [1_000, 100, 200] : [COUNT, 20_000, TEXTBOOK_SKIP]
    const measure = (relay: Relay, snapshot: boolean, part = {}) => {
      return () => drain(context, relay, { warmUp, messages: createdMessages(count), count, snapshot, ...part })
    }
    const part = { skip, limitMs: TEXTBOOK_LIMIT_MS }
    const rounds = await alternate(
      {
        'product, free': measure(productRelay, false),
        'product, held': measure(productRelay, true),
        'textbook, free': measure(textbookRelay, false, part),
        'textbook, held': measure(textbookRelay, true, part),
      },
      { ...context, rounds: Math.min(context.rounds, ROUNDS_MAX) },
    )
    const ratios = [
      ['product, held', 'product, free'],
      ['textbook, held', 'textbook, free'],
    ] as const
    return compare(rounds, { metric: 'rate', what: 'messages', unit: '/s', ratios })
  },
}
