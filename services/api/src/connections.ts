/** Sessions with PostgreSQL, for all that a process does. */
export const CONNECTIONS_MAX = 10

/** Requests that use one at the same time. Two are left for health, and for waking relays, however many requests wait. */
export const REQUESTS_MAX = CONNECTIONS_MAX - 2
