import type { Benchmark } from '../benchmark.ts'
import { type Worker, work } from '../workers/work.ts'
import { bareConsumer, productWorker, textbookWorker } from '../workers/workers.ts'

const COUNT = 100_000
const LIMIT_MS = 20_000
/** More in flight, as the sizing guide advises for many payments a second. The default is 100. */
const WIDE = { WORKER_PREFETCH: '1000', PROVIDER_CONCURRENCY: '1000' }

export const worker: Benchmark = {
  name: 'worker',
  title: `settling ${COUNT.toLocaleString('en-US')} payments whose messages are in the queue, with a provider that answers at once and one process of each worker, for at most ${LIMIT_MS / 1_000} s; 2 workers against 1`,
  figures: [{ metric: 'rate', what: 'payments', unit: '/s' }],
  ratios: [
    ['product', 'bare consume and ack'],
    ['product', 'textbook'],
    ['product, prefetch 1,000', 'bare consume and ack'],
    ['product, prefetch 1,000', 'textbook'],
    ['2 workers', 'product'],
  ],
  compared: 'product',
  variants(context) {
    const { product, quick } = context
    const sizes = quick ? { count: 100, limitMs: 2_000 } : { count: COUNT, limitMs: LIMIT_MS }
    const measure = (which: Worker, instances?: number) => () => work(context, which, { ...sizes, instances })
    return {
      product: measure(productWorker(product)),
      'product, prefetch 1,000': measure(productWorker(product, WIDE)),
      'bare consume and ack': measure(bareConsumer),
      textbook: measure(textbookWorker),
      '2 workers': measure(productWorker(product), 2),
    }
  },
}
