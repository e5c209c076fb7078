/** A pair of windows in which the budget of late payments burns `factor` times as fast as it lasts for 30 days. */
export interface BurnRate {
  readonly severity: 'page' | 'ticket'
  readonly factor: number
  /** Shows that enough of the budget is gone, in seconds. */
  readonly longSeconds: number
  /** Shows that it still goes, in seconds. The alert ends this long after the fault. */
  readonly shortSeconds: number
}

const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** From when on a state of the system needs an operator. Prometheus's alert rules are made from this table. */
export const THRESHOLDS = {
  /** Time after its creation in which a payment is settled, in seconds. Settled later, it is late. */
  settleWithinSeconds: MINUTE,
  /** Share of payments that may be late. */
  lateShareMax: 0.001,
  /** Late payments below which no burn rate counts. One late payment of few is no trouble of the system. */
  latePaymentsMin: 3,
  burnRates: [
    { severity: 'page', factor: 14.4, longSeconds: HOUR, shortSeconds: 5 * MINUTE },
    { severity: 'page', factor: 6, longSeconds: 6 * HOUR, shortSeconds: 30 * MINUTE },
    { severity: 'ticket', factor: 1, longSeconds: 3 * DAY, shortSeconds: 6 * HOUR },
  ] satisfies readonly BurnRate[] as readonly BurnRate[],
  /** Age of the oldest message of a topic in the outbox, in seconds. */
  lagSecondsMax: 30,
  /** Messages of a topic in the outbox below which a backlog may grow. */
  backlogMessagesMax: 1_000,
  /** Time in which a backlog grows, in seconds. */
  backlogGrowsSeconds: 15 * MINUTE,
  deadLettersMax: 0,
  parkedPaymentsMax: 0,
  /** Messages that RabbitMQ has returned because no queue is bound for them, in `returnedWithinSeconds`. */
  returnedMessagesMax: 0,
  returnedWithinSeconds: 5 * MINUTE,
  /** Time that RabbitMQ blocks a publisher, in seconds. */
  blockedSecondsMax: MINUTE,
  noConsumerSecondsMax: MINUTE,
  /** Longer than the breaker's waits after a short outage of the provider, in seconds. */
  breakerOpenSecondsMax: 5 * MINUTE,
  /** Age of the oldest snapshot or transaction id that keeps PostgreSQL from removing dead rows, in seconds. */
  oldestXminSecondsMax: 15 * MINUTE,
  /** The same in transactions, for what has no age in seconds, such as a replication slot. The outbox keeps its speed until then. */
  oldestXminTransactionsMax: 1_000_000,
  /** Time without a synchronous standby where one is required, in seconds. Longer than a standby needs to restart. */
  noStandbySecondsMax: MINUTE,
  pausedSecondsMax: HOUR,
  /** Age of the oldest event that has not become deliveries to the endpoints of its merchant, in seconds. */
  fanOutLagSecondsMax: 30,
  /** Time since a delivery to an endpoint that answers was due, in seconds. */
  webhookOverdueSecondsMax: MINUTE,
  /** Time in which no process of a service answers, in seconds. Longer than a process needs to restart. */
  serviceGoneSecondsMax: MINUTE,
  /** Time in which one target of Prometheus does not answer, in seconds. */
  notScrapedSecondsMax: 5 * MINUTE,
  /** Age of the last facts of the database, in seconds. A process looks every 5 seconds. */
  factsAgeSecondsMax: MINUTE,
} as const
