import type { Benchmark, Context } from '../benchmark.ts'
import { type Drain, drain, type Relay } from '../drain/drain.ts'
import { productRelay, textbookRelay } from '../drain/relays.ts'
import { createdMessages } from '../queue/messages.ts'

const LONGEST = 1_000_000
// A complete run of the textbook would take an hour.
const TEXTBOOK_SKIP = 200_000
const TEXTBOOK_LIMIT_MS = 20_000

export const backlog: Benchmark = {
  name: 'backlog',
  title: `draining backlogs of different lengths with one relay, with and without a snapshot that an old reader holds; the textbook for ${TEXTBOOK_LIMIT_MS / 1_000} s after ${TEXTBOOK_SKIP.toLocaleString('en-US')}`,
  figures: [{ metric: 'rate', what: 'messages', unit: '/s' }],
  ratios: [
    ['100,000', '10,000'],
    ['1,000,000', '10,000'],
    ['1,000,000, held', '1,000,000'],
    ['textbook, held', 'textbook'],
  ],
  roundsMax: 3,
  compared: '1,000,000, held',
  variants(context) {
    const product = productRelay(context.product)
    const part = { skip: context.quick ? 200 : TEXTBOOK_SKIP, limitMs: TEXTBOOK_LIMIT_MS }
    return {
      '10,000': () => measure(context, product, { count: 10_000 }),
      '100,000': () => measure(context, product, { count: 100_000 }),
      '1,000,000': () => measure(context, product, {}),
      '1,000,000, held': () => measure(context, product, { snapshot: true }),
      textbook: () => measure(context, textbookRelay, part),
      'textbook, held': () => measure(context, textbookRelay, { ...part, snapshot: true }),
    }
  },
}

function measure(context: Context, relay: Relay, { count: length = LONGEST, ...more }: Partial<Drain>) {
  const [count, warmUp] = context.quick ? [length / 1_000, 100] : [length, 20_000]
  return drain(context, relay, { warmUp, messages: createdMessages(count), count, ...more })
}
