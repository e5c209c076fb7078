import { pause } from '@cashflow/async'
import type { Logger } from '@cashflow/runtime'
import type { Host } from './hosts.ts'
import { Session } from './session.ts'
import type { SessionConfig } from './session-config.ts'
import type { Timelines } from './timelines.ts'

export interface HostWatchOptions {
  hosts: readonly Host[]
  timelines: Timelines
  configOf: (host: Host) => SessionConfig
  logger: Logger
}

export type HostWatch = ReturnType<typeof createHostWatch>

const INTERVAL_MS = 1_000
/** The limit of one look, with the connection that it may have to open. */
const LIMIT_MS = 1_000
/** Maximum wait of the first session for the first looks, so that no process starts on a primary that was replaced. */
const FIRST_LOOK_MS = 250
/** Number of looks in a row that may fail before the failure is logged. */
const FAILED_LOOKS = 3

/**
 * Asks each host once a second, on one connection each, for the timeline of its log. A primary that was replaced while it
 * was unreachable does not know it, but has a lower timeline. A host that does not answer delays no other and is ignored.
 */
export function createHostWatch({ hosts, timelines, configOf, logger }: HostWatchOptions) {
  const stopping = new AbortController()
  const compare = createClusterCheck(logger)
  let loops: Promise<unknown> | undefined
  let firstLooks: Promise<unknown> | undefined

  async function look(session: Session, host: Host, isNew: boolean): Promise<void> {
    const end = () => session.connection.stream.destroy(new Error('no answer in time'))
    const limit = setTimeout(end, LIMIT_MS)
    stopping.signal.addEventListener('abort', end)
    try {
      if (isNew) await session.connect()
      const place = await timelines.look(session)
      if (place) compare(host, place.system)
    } finally {
      clearTimeout(limit)
      stopping.signal.removeEventListener('abort', end)
    }
  }

  async function watch(host: Host, onLooked: () => void): Promise<void> {
    let session: Session | undefined
    let failed = 0
    while (!stopping.signal.aborted) {
      const isNew = session === undefined
      try {
        // A session without limits accepts a standby. Certificates are read here, as their files may be missing for a while.
        session ??= new Session({ ...configOf(host), limits: undefined })
        await look(session, host, isNew)
        if (failed >= FAILED_LOOKS) logger.info('database host is watched again', { host: host.name })
        failed = 0
      } catch (error) {
        session?.connection.stream.destroy()
        session = undefined
        failed += 1
        if (failed === FAILED_LOOKS) logger.warn('database host cannot be watched', { host: host.name, error })
      }
      onLooked()
      await pause(INTERVAL_MS, stopping.signal)
    }
    session?.connection.stream.destroy()
  }

  async function begin(): Promise<void> {
    const looks = hosts.map((host) => {
      const { promise: looked, resolve } = Promise.withResolvers<void>()
      return { looked, watching: watch(host, resolve) }
    })
    loops = Promise.all(looks.map(({ watching }) => watching))
    const allLooked = new AbortController()
    void Promise.all(looks.map(({ looked }) => looked)).then(() => allLooked.abort())
    await pause(FIRST_LOOK_MS, allLooked.signal)
  }

  return {
    /** Starts the watch. Resolves when each host has answered or failed once, or after 250 ms. */
    async start(): Promise<void> {
      firstLooks ??= begin()
      await firstLooks
    },
    async stop(): Promise<void> {
      stopping.abort()
      await loops
    },
  }
}

/** Logs an error when not all hosts belong to one cluster, which its servers' system identifiers show. */
function createClusterCheck(logger: Logger): (host: Host, system: string) => void {
  const systems = new Map<Host, string>()
  let areApart = false
  return (host, system) => {
    systems.set(host, system)
    const areNow = new Set(systems.values()).size > 1
    if (areNow && !areApart)
      logger.error('database hosts belong to different clusters, payments may be stored in different databases', {
        hosts: [...systems].map(([{ name }, own]) => `${name}: ${own}`),
      })
    areApart = areNow
  }
}
