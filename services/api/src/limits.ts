/** Payments that share a transaction. */
export const BATCH_MAX = 64

/** Such transactions at the same time: one, and two for when it is held up or much more waits. */
export const WRITERS_MAX = 3

/** Payments that are stored each for itself at the same time, because their batch met with a conflict. */
export const WRITERS_ALONE_MAX = 2

/** Payments in all those transactions, and those that gather for the next. */
export const WRITES_MAX = BATCH_MAX * (WRITERS_MAX + 1)

/** Requests that read at the same time. */
export const READS_MAX = 3

/** Sessions with PostgreSQL, for all that a process does. Two are left for health, and for waking relays. */
export const CONNECTIONS_MAX = WRITERS_MAX + WRITERS_ALONE_MAX + READS_MAX + 2
