import type { Benchmark, Context } from '../benchmark.ts'
import { alternate, compare } from '../rounds.ts'
import type { Worker } from '../workers/work.ts'
import { work } from '../workers/work.ts'
import { bareConsumer, productWorker, textbookWorker, wideProductWorker } from '../workers/workers.ts'

const COUNT = 100_000
const LIMIT_MS = 20_000

export const worker: Benchmark = {
  name: 'worker',
  title: `settling ${COUNT.toLocaleString('en-US')} payments whose messages are in the queue, with a provider that answers at once and one process of each worker, for at most ${LIMIT_MS / 1_000} s`,
  async run(context) {
    const rounds = await alternate(
      {
        product: () => measure(context, productWorker(context.product)),
        'product, prefetch 1,000': () => measure(context, wideProductWorker(context.product)),
        'bare consume and ack': () => measure(context, bareConsumer),
        textbook: () => measure(context, textbookWorker),
      },
      context,
    )
    const ratios = [
      ['product', 'bare consume and ack'],
      ['product', 'textbook'],
      ['product, prefetch 1,000', 'bare consume and ack'],
      ['product, prefetch 1,000', 'textbook'],
    ] as const
    return compare(rounds, { metric: 'rate', what: 'payments', unit: '/s', ratios })
  },
  alone: { items: 'payments settled', measure: (context) => measure(context, productWorker(context.product)) },
}

function measure(context: Context, which: Worker) {
  return work(context, which, context.quick ? { count: 100, limitMs: 2_000 } : { count: COUNT, limitMs: LIMIT_MS })
}
