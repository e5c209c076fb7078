import type { SeenInstance } from '../instances/instances.ts'

/** The counters that show whether payments move, by the name of their rate. */
const COUNTERS = {
  created: 'cashflow_api_payments_created_total',
  published: 'cashflow_relay_messages_total',
  delivered: 'cashflow_worker_deliveries_total',
  settled: 'cashflow_worker_settlements_total',
  redriven: 'cashflow_worker_redriven_total',
  webhooks: 'cashflow_webhooks_attempts_total',
} as const

/** Counts a second, summed over the processes. */
export type Rates = Readonly<Record<keyof typeof COUNTERS, number>>

/**
 * Compares the counters of two looks. A process counts from one of its heartbeats to another. One that has none between the
 * looks does not count.
 */
export function ratesBetween(before: readonly SeenInstance[], after: readonly SeenInstance[]): Rates {
  const earlier = new Map(before.map((instance) => [instance.id, instance]))
  const rateOf = (counter: string) =>
    after.reduce((sum, { id, seenAt, counters }) => {
      const first = earlier.get(id)
      const seconds = first ? (seenAt.getTime() - first.seenAt.getTime()) / 1_000 : 0
      const counted = (counters[counter] ?? 0) - (first?.counters[counter] ?? 0)
      return seconds > 0 ? sum + counted / seconds : sum
    }, 0)
  const { created, published, delivered, settled, redriven, webhooks } = COUNTERS
  return {
    created: rateOf(created),
    published: rateOf(published),
    delivered: rateOf(delivered),
    settled: rateOf(settled),
    redriven: rateOf(redriven),
    webhooks: rateOf(webhooks),
  }
}
