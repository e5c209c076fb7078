import type { Express } from 'express'

interface Layer {
  name: string
  route?: { path: string | RegExp; methods: Record<string, boolean> }
  handle: { stack?: Layer[] }
  match(path: string): false | { path: string }
}

const PREFIXES = ['/payments', '/events', '/test/payments', '/webhook-endpoints', '/webhook-deliveries']
/** Paths that routers are mounted on. */
const MOUNTS = ['/health', ...PREFIXES.flatMap((path) => [path, `/api/v1${path}`])]

/**
 * Every method and path that the application has a route for, such as `GET /payments/:id`. A mount that is not listed above
 * throws.
 */
export function routesOf(app: Express): string[] {
  const routesAt = (prefix: string, stack: readonly Layer[]): string[] =>
    stack.flatMap(({ route }) => {
      const methods = Object.keys(route?.methods ?? {}).filter((method) => method !== '_all')
      const path = route?.path instanceof RegExp ? route.path.source : route?.path
      return methods.map((method) => `${method.toUpperCase()} ${prefix}${path === '/' ? '' : path}`)
    })
  const stack = (app as unknown as { router: { stack: Layer[] } }).router.stack
  return stack.flatMap((layer) => {
    if (layer.route) return routesAt('', [layer])
    if (!layer.handle.stack) return []
    const prefixes = layer.match('/') ? [''] : MOUNTS.filter((mount) => layer.match(mount))
    if (prefixes.length === 0) throw new Error('a router is mounted on a path that this test does not know')
    return prefixes.flatMap((prefix) => routesAt(prefix, layer.handle.stack ?? []))
  })
}
