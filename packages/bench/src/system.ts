import type { Contender, Role } from './contender.ts'
import { createPlace, type Place } from './place.ts'
import { type Running, startProcess } from './process.ts'
import type { Servers } from './servers.ts'

/** A pipeline, or a part of one, at its own place. */
export interface System {
  readonly place: Place
  /** One process for each role, in the order of the roles. */
  readonly processes: readonly Running[]
  /** The API's address. Empty without an API. */
  readonly url: string
  /** Ends the processes, and keeps the place. */
  halt(): Promise<void>
  /** Ends the processes, and drops the place. */
  stop(): Promise<void>
}

/** Starts a pipeline. @param options.place where it runs. `stop` does not drop a given place. Default: a new place */
export async function startSystem(
  servers: Servers,
  contender: Contender,
  roles: readonly Role[],
  { place: given, env = {} }: { place?: Place; env?: Readonly<Record<string, string>> } = {},
): Promise<System> {
  const place = given ?? (await createPlace(servers, contender.template))
  const { kind, node } = contender
  const starting = roles.map((role) =>
    startProcess({ name: `${kind}-${role}`, node, file: contender.fileOf(role), place, env, dir: servers.dir }),
  )
  let halted: Promise<unknown> | undefined
  async function halt(): Promise<void> {
    const running = (await Promise.allSettled(starting)).filter((result) => result.status === 'fulfilled')
    halted ??= Promise.all(running.map(({ value }) => value.stop()))
    await halted
  }
  async function stop(): Promise<void> {
    try {
      await halt()
    } finally {
      if (!given) await place.drop()
    }
  }
  try {
    const processes = await Promise.all(starting)
    const url = processes.find((running) => running.url !== '')?.url ?? ''
    return { place, processes, url, halt, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** Runs the work on a new system, and removes the system afterwards, also after an error. */
export async function onSystem<Result>(
  servers: Servers,
  contender: Contender,
  roles: readonly Role[],
  work: (system: System) => Promise<Result>,
): Promise<Result> {
  const system = await startSystem(servers, contender, roles)
  try {
    return await work(system)
  } finally {
    await system.stop()
  }
}
