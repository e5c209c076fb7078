import type { Benchmark } from '../benchmark.ts'
import { deliver } from '../webhooks/deliver.ts'
import { productSender, textbookSender } from '../webhooks/senders.ts'

export const webhooks: Benchmark = {
  name: 'webhooks',
  title:
    '200 events/s to 10 endpoints, then a backlog of 20,000 events; isolated: next to 10 endpoints each that hang, drip and flood, and 1,000 dead ones, all with events',
  figures: [
    { metric: 'rate', what: 'delivered of a backlog', unit: '/s' },
    { metric: 'cpuUs', what: 'CPU per delivered event, without writing it', unit: 'µs' },
    { metric: 'backlogCpuUs', what: 'CPU per event of a backlog', unit: 'µs' },
    { metric: 'p50Ms', what: 'created → delivered, p50', unit: 'ms' },
    { metric: 'p99Ms', what: 'created → delivered, p99', unit: 'ms' },
  ],
  ratios: [['product', 'textbook']],
  compared: 'product',
  variants: (context) => ({
    product: () => deliver(context, productSender(context.product), { isolated: false }),
    textbook: () => deliver(context, textbookSender, { isolated: false }),
    'product, isolated': () => deliver(context, productSender(context.product), { isolated: true }),
    'textbook, isolated': () => deliver(context, textbookSender, { isolated: true }),
  }),
}
