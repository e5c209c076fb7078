import { existsSync } from 'node:fs'
import type { Role } from '@cashflow/testing'
import { type Contender, WEBHOOK_SETTINGS } from './contender.ts'
import { createPlace, type Place } from './place.ts'
import { startProcess } from './process.ts'
import type { Servers } from './servers.ts'

export type System = Awaited<ReturnType<typeof startSystem>>

/**
 * Starts a pipeline, or a part of one, at the given place or at a new one. As in production, Cashflow's webhooks service runs next
 * to it: no merchant has an endpoint, so it does nothing but look. Trees from before webhooks have none. The disposal stops the processes, and drops
 * the place unless the place was given.
 */
export async function startSystem(
  servers: Servers,
  { kind, node, template, fileOf }: Contender,
  given: readonly Role[],
  { place: givenPlace, env = {} }: { place?: Place; env?: Readonly<Record<string, string>> } = {},
) {
  await using unfinished = new AsyncDisposableStack()
  const place = givenPlace ?? unfinished.use(await createPlace(servers, template))
  const hasWebhooks = kind === 'product' && existsSync(fileOf('webhooks'))
  const roles = hasWebhooks ? [...given, 'webhooks' as const] : given
  const starting = roles.map((role) => {
    const settings = role === 'webhooks' ? { ...WEBHOOK_SETTINGS, ...env } : env
    return startProcess({ name: `${kind}-${role}`, node, file: fileOf(role), place, env: settings, dir: servers.dir })
  })
  unfinished.defer(async () => {
    const running = (await Promise.allSettled(starting)).filter((result) => result.status === 'fulfilled')
    await Promise.all(running.map(({ value }) => value.stop()))
  })
  const processes = await Promise.all(starting)
  const started = unfinished.move()
  return {
    place,
    /** One process for each role, in the order of the roles, then that of webhooks. */
    processes,
    /** The API's address. Empty without an API. */
    url: processes.find((running) => running.url !== '')?.url ?? '',
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  }
}
