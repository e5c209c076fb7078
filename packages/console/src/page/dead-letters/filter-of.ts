import type { DeadLetterFilter } from '../../answers.ts'

/** The filter that stands in the address. */
export function filterOf(query: URLSearchParams): DeadLetterFilter {
  const [source, topic, containing] = [query.get('source'), query.get('topic'), query.get('containing')]
  const overMs = Number(query.get('over_ms'))
  return {
    ...(source && { source }),
    ...(topic && { topic }),
    ...(containing && { containing }),
    ...(overMs > 0 && { over_ms: overMs }),
  }
}
