import type { Role } from '@cashflow/testing'
import type { Contender } from './contender.ts'
import { createPlace, type Place } from './place.ts'
import { startProcess } from './process.ts'
import type { Servers } from './servers.ts'

export type System = Awaited<ReturnType<typeof startSystem>>

/**
 * Starts a pipeline, or a part of one, at the given place or at a new one. Its disposal stops the processes, and drops
 * the place unless the place was given.
 */
export async function startSystem(
  servers: Servers,
  { kind, node, template, fileOf }: Contender,
  roles: readonly Role[],
  { place: given, env = {} }: { place?: Place; env?: Readonly<Record<string, string>> } = {},
) {
  await using unfinished = new AsyncDisposableStack()
  const place = given ?? unfinished.use(await createPlace(servers, template))
  const starting = roles.map((role) =>
    startProcess({ name: `${kind}-${role}`, node, file: fileOf(role), place, env, dir: servers.dir }),
  )
  unfinished.defer(async () => {
    const running = (await Promise.allSettled(starting)).filter((result) => result.status === 'fulfilled')
    await Promise.all(running.map(({ value }) => value.stop()))
  })
  const processes = await Promise.all(starting)
  const started = unfinished.move()
  return {
    place,
    /** One process for each role, in the order of the roles. */
    processes,
    /** The API's address. Empty without an API. */
    url: processes.find((running) => running.url !== '')?.url ?? '',
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  }
}
