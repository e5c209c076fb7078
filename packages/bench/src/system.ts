import type { Role } from '@cashflow/testing'
import type { Contender } from './contender.ts'
import { createPlace, type Place } from './place.ts'
import { type Running, startProcess } from './process.ts'
import type { Servers } from './servers.ts'

/** A pipeline, or a part of one. Its disposal stops the processes, and drops the place unless the place was given. */
export interface System extends AsyncDisposable {
  readonly place: Place
  /** One process for each role, in the order of the roles. */
  readonly processes: readonly Running[]
  /** The API's address. Empty without an API. */
  readonly url: string
}

/** Starts a pipeline. @param options.place where it runs. Default: a new place */
export async function startSystem(
  servers: Servers,
  { kind, node, template, fileOf }: Contender,
  roles: readonly Role[],
  { place: given, env = {} }: { place?: Place; env?: Readonly<Record<string, string>> } = {},
): Promise<System> {
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
  const url = processes.find((running) => running.url !== '')?.url ?? ''
  const started = unfinished.move()
  return { place, processes, url, [Symbol.asyncDispose]: () => started.disposeAsync() }
}
