import type { Benchmark, Context } from '../benchmark.ts'
import { drain } from '../drain/drain.ts'
import { productRelay } from '../drain/own-relays.ts'
import { createdMessages } from '../queue/messages.ts'
import { alternate, compare } from '../rounds.ts'

export const backlog: Benchmark = {
  name: 'backlog',
  title: 'draining backlogs of different lengths with one relay',
  async run(context) {
    const rounds = await alternate(
      {
        '10,000': () => measure(context, 10_000),
        '100,000': () => measure(context, 100_000),
        '1,000,000': () => measure(context, 1_000_000),
      },
      context,
    )
    const ratios = [
      ['100,000', '10,000'],
      ['1,000,000', '10,000'],
    ] as const
    return compare(rounds, { metric: 'rate', what: 'messages', unit: '/s', ratios })
  },
  alone: { items: 'messages of 1,000,000', measure: (context) => measure(context, 1_000_000) },
}

function measure(context: Context, length: number) {
  const [count, warmUp] = context.quick ? [length / 1_000, 100] : [length, 20_000]
  return drain(context, productRelay(context.product), { warmUp, messages: createdMessages(count), count })
}
