/** Payments in one transaction. */
export const BATCH_MAX = 64

/** Such transactions at the same time. One is the rule; more run while it is slow, or while many payments wait. */
export const WRITERS_MAX = 3

/** Payments that are written one by one at the same time, after a conflict in their batch. */
export const WRITERS_ALONE_MAX = 2

/** Payments that are written one by one after a deadlock: one at a time, because they wait for each other. */
export const WRITERS_ONE_BY_ONE = 1

/** Requests that write at the same time: those in a transaction, and those that gather for the next one. */
export const WRITES_MAX = BATCH_MAX * (WRITERS_MAX + 1)

/** Requests that read at the same time. */
export const READS_MAX = 3

/** Requests for lists that read at the same time, each of another merchant. They have no slot of the others that read. */
export const LISTS_MAX = 2

/** Requests that cancel or advance a payment at the same time, each of another merchant and in a transaction of its own. */
export const CHANGES_MAX = 2

/** Statements at the same time about payments that requests wait for: one looks at all of them, one finds some. */
const WAIT_STATEMENTS_MAX = 2

/**
 * Number of requests that may wait for payments. The other connections are left for requests that do not wait: at most then
 * is there an idle connection to close for a new one.
 */
export function waitsMax(connectionsMax: number): number {
  return Math.min(3_000, Math.ceil(connectionsMax * 0.75))
}

/** Statements about keys at the same time: two look known keys up, one looks unknown ids up, and one stores their last use. */
const KEY_STATEMENTS_MAX = 4

/**
 * Sessions with PostgreSQL of one process. Six of them are for /health, for notifying relays, for notifying APIs, for rate
 * limits, for the facts of the database and for the heartbeat.
 */
export const CONNECTIONS_MAX =
  WRITERS_MAX +
  WRITERS_ALONE_MAX +
  WRITERS_ONE_BY_ONE +
  READS_MAX +
  LISTS_MAX +
  CHANGES_MAX +
  WAIT_STATEMENTS_MAX +
  KEY_STATEMENTS_MAX +
  6
