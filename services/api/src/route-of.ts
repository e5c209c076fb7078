/** What a path of the API is called in metrics: the pattern of its route. There are few of them, and no path of a client is one. */
const PATTERNS = new Map(
  ['/', '/health', '/openapi.json', '/docs', '/payments', '/payments/:id', '/payments/:id/events']
    .concat(['/payments/:id/cancel', '/events', '/test/payments/:id/advance'])
    .concat(['/events/:id/deliveries', '/events/:id/redeliver', '/webhook-deliveries'])
    .concat(['/webhook-endpoints', '/webhook-endpoints/:id'])
    .concat(['/webhook-endpoints/:id/rotate-secret', '/webhook-endpoints/:id/replay'])
    .concat(['/webhook-endpoints/:id/check', '/webhook-endpoints/:id/ping', '/webhook-endpoints/:id/checks/:check'])
    .map((pattern) => [pattern, pattern]),
)
/** A path of no route. */
export const NO_ROUTE = 'none'

const VERSIONED = /^\/api\/v1(?=\/(payments|events|test|webhook-endpoints|webhook-deliveries)(\/|$))/
const CHECK = /^(\/webhook-endpoints\/:id\/checks\/)[^/]+$/
const NAMED = /^((?:\/test)?\/(?:payments|events|webhook-endpoints)\/)[^/]+(?=\/|$)/

/** @param path the path of a request, without its query */
export function routeOf(path: string): string {
  if (path.startsWith('/docs/')) return '/docs'
  // Express takes a path with a slash at its end for the same path.
  const plain = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
  return PATTERNS.get(plain.replace(VERSIONED, '').replace(NAMED, '$1:id').replace(CHECK, '$1:check')) ?? NO_ROUTE
}
