import type { Contender, Role } from './contender.ts'
import { createPlace, type Place } from './place.ts'
import { type Running, startProcess } from './process.ts'
import type { Servers } from './servers.ts'

/** A whole pipeline, or a part of one, at a place of its own. */
export interface System {
  readonly place: Place
  /** One for each role that was asked for, in that order. */
  readonly processes: readonly Running[]
  /** The API's, where there is one. */
  readonly url: string
  /** Ends the processes, and leaves the place. */
  halt(): Promise<void>
  /** And drops the place. */
  stop(): Promise<void>
}

/** @param place of its own unless one is given, which is then not dropped */
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

/** Runs the work on a system of its own, and clears the system away whatever happens. */
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
