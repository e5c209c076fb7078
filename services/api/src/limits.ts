/** Payments in one transaction. */
export const BATCH_MAX = 64

/** Such transactions at the same time. One is the rule; more run while it is slow, or while many payments wait. */
export const WRITERS_MAX = 3

/** Payments that are written one by one at the same time, after a conflict in their batch. */
export const WRITERS_ALONE_MAX = 2

/** Requests that write at the same time: those in a transaction, and those that gather for the next one. */
export const WRITES_MAX = BATCH_MAX * (WRITERS_MAX + 1)

/** Requests that read at the same time. */
export const READS_MAX = 3

/** Sessions with PostgreSQL of one process. Two of them are for /health and for notifying relays. */
export const CONNECTIONS_MAX = WRITERS_MAX + WRITERS_ALONE_MAX + READS_MAX + 2
