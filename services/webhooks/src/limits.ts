/** Deadline of one attempt, in milliseconds. Standard Webhooks 1.0.0 recommends 15 to 30 seconds. */
export const ATTEMPT_MS = 20_000

/**
 * Time after which another process may take a delivery over, in milliseconds. Longer than an attempt and the storing of its
 * outcome take.
 */
export const LEASE_MS = 30_000

/** PostgreSQL ends a transaction that waits for its process this long: a frozen one must not keep the locks of endpoints. */
export const IDLE_IN_TRANSACTION_MS = 3_000

/** An endpoint is disabled if it has failed for this long, with this many attempts and no success. */
export const DISABLED_AFTER = { failingMs: 120 * 3_600_000, failures: 10 }
