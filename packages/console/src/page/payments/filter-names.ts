export const PAYMENT_FILTERS = ['status', 'waiting_for', 'merchant', 'q', 'after'] as const

/** True for a list that is not simply the newest payments. */
export function isFiltered(query: URLSearchParams): boolean {
  return PAYMENT_FILTERS.some((name) => query.get(name))
}
