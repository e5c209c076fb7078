import type { Logger } from '@cashflow/runtime'
import type pg from 'pg'
import { OldTimelineError } from './errors.ts'

/** The place of a server's log among those of its cluster. */
export interface LogPlace {
  /** PostgreSQL's system identifier. A primary and all its standbys, promoted or not, have the same one. */
  readonly system: string
  /** Each promotion begins a higher timeline. Undefined for a standby. */
  readonly timeline: number | undefined
}

export type Timelines = ReturnType<typeof createTimelines>

// The limit of the session's start applies, instead of the limit of a statement.
const SELECT_PLACE = `
  set local statement_timeout = 0;
  select system_identifier::text as system,
    case when not pg_is_in_recovery() then left(pg_walfile_name(pg_current_wal_lsn()), 8) end as timeline
  from pg_control_system()`

/** Remembers the highest timelines that a process has seen, and its sessions on them. */
export function createTimelines(logger: Logger) {
  const highest = new Map<string, number>()
  const sessions = new Set<{ place: LogPlace; close: (error: OldTimelineError) => void }>()
  let isUnreadable = false

  function refusalOf({ system, timeline = 0 }: LogPlace): OldTimelineError | undefined {
    const seen = highest.get(system) ?? 0
    return timeline < seen ? new OldTimelineError(timeline, seen) : undefined
  }

  /** Records a timeline. If it is the highest of its cluster, the sessions on lower ones are closed. */
  function see({ system, timeline = 0 }: LogPlace): void {
    const before = highest.get(system) ?? 0
    if (before >= timeline) return
    highest.set(system, timeline)
    let closed = 0
    for (const session of sessions) {
      const refusal = refusalOf(session.place)
      if (!refusal) continue
      sessions.delete(session)
      session.close(refusal)
      closed += 1
    }
    if (before > 0)
      logger.warn('a standby was promoted, sessions with the former primary are closed', {
        timeline,
        timeline_before: before,
        sessions: closed,
      })
  }

  function warnOnce(error: unknown): void {
    if (!isUnreadable)
      logger.warn('timelines cannot be read, so a former primary that still runs goes unnoticed', { error })
    isUnreadable = true
  }

  return {
    see,
    /**
     * Asks a server for its place, and records it.
     *
     * @returns undefined if the role has no right to read it
     */
    async look(client: pg.Client): Promise<LogPlace | undefined> {
      try {
        const results = (await client.query(SELECT_PLACE)) as unknown as pg.QueryResult<PlaceRow>[]
        const place = toLogPlace(results.at(-1)?.rows[0])
        see(place)
        return place
      } catch (error) {
        if (!isForbidden(error)) throw error
        warnOnce(error)
        return undefined
      }
    },
    /**
     * Registers a session. `close` is called once, when a higher timeline is seen.
     *
     * @returns a function that removes the session, to be called when it has ended
     * @throws OldTimelineError if a higher timeline of the same system was seen
     */
    admit(place: LogPlace, close: (error: OldTimelineError) => void): () => void {
      const refusal = refusalOf(place)
      if (refusal) throw refusal
      const session = { place, close }
      sessions.add(session)
      return () => void sessions.delete(session)
    },
  }
}

interface PlaceRow {
  system: string
  timeline: string | null
}

function toLogPlace(row: PlaceRow | undefined): LogPlace {
  if (!row) throw new Error('the server has no system identifier')
  return { system: row.system, timeline: row.timeline === null ? undefined : Number.parseInt(row.timeline, 16) }
}

/** True if the role lacks a right (42501), or the server is only compatible with PostgreSQL and lacks a function (42883, 0A000). */
function isForbidden(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(42|0A)...$/.test(String(error.code))
}
