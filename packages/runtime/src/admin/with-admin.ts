import type { Loop } from '@cashflow/async'
import type { Registry } from '@prometheus-io/client'
import type { Component } from '../lifecycle.ts'
import type { Logger } from '../logger.ts'
import { createAdminServer } from './admin-server.ts'
import { createLoopWatch, LOOK_MS } from './loop-watch.ts'
import { registerProcess } from './process-metrics.ts'

export interface AdminOptions {
  host: string
  /** 0 means any free port. */
  port: number
  service: string
  registry: Registry
  logger: Logger
  /** Parts with loops that are no components. */
  watched?: readonly { readonly loops: Iterable<Loop> }[]
  /** Members of the answer of /readyz about servers of this process. They do not decide whether it is ready. */
  servers?: () => Readonly<Record<string, string>>
}

/**
 * Adds the admin server to the components of a process. It starts first and stops last, so that it answers while the
 * process waits for its servers, and while it drains.
 *
 * - /livez answers 503 only for a bug: a loop that hangs. Waiting for a server is alive.
 * - /readyz answers 200 from the moment that all components have started until the first one stops.
 */
export function withAdmin(components: readonly Component[], options: AdminOptions): Component[] {
  const { service, registry, watched = [], servers = () => ({}) } = options
  const sources = [...components, ...watched].map(({ loops = [] }) => loops)
  const watch = createLoopWatch(() => sources.flatMap((loops) => [...loops]))
  registerProcess(registry, service, watch)
  let status: 'starting' | 'ready' | 'draining' = 'starting'

  function livez() {
    const hung = watch.hung()
    const loops = hung.map(({ name, silentMs }) => ({ name, silent_s: Math.round(silentMs / 1_000) }))
    return { ok: hung.length === 0, body: hung.length === 0 ? { status: 'alive' } : { status: 'hung', loops } }
  }

  const server = createAdminServer({
    ...options,
    metrics: registry,
    livez,
    readyz: () => ({ ok: status === 'ready', body: { status, ...servers() } }),
  })
  let looking: NodeJS.Timeout | undefined
  const first: Component = {
    name: server.name,
    async start(signal) {
      looking ??= setInterval(watch.look, LOOK_MS)
      await server.start(signal)
    },
    async stop() {
      clearInterval(looking)
      await server.stop()
    },
  }
  const last: Component = {
    name: 'readiness',
    async start() {
      status = 'ready'
    },
    async stop() {
      status = 'draining'
    },
  }
  return [first, ...components, last]
}
