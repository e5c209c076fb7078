import type { Benchmark } from '../benchmark.ts'
import { drain } from '../drain/drain.ts'
import { productRelay } from '../drain/own-relays.ts'
import { createdMessages } from '../queue/messages.ts'
import { alternate, compare } from '../rounds.ts'

export const backlog: Benchmark = {
  name: 'backlog',
  title: 'draining backlogs of different lengths with one relay',
  async run(context) {
    const warmUp = context.quick ? 100 : 20_000
    const measure = (length: number) => () => {
      const count = context.quick ? length / 1_000 : length
      return drain(context, productRelay, { warmUp, messages: createdMessages(count), count })
    }
    const rounds = await alternate(
      { '10,000': measure(10_000), '100,000': measure(100_000), '1,000,000': measure(1_000_000) },
      context,
    )
    const ratios = [
      ['100,000', '10,000'],
      ['1,000,000', '10,000'],
    ] as const
    return compare(rounds, { metric: 'rate', what: 'messages', unit: '/s', ratios })
  },
}
