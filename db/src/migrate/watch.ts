import { type Kysely, sql } from 'kysely'

/** Sessions that another one waits for. */
export type Blockers = readonly {
  readonly pid: number
  readonly application: string
  readonly state: string
  /** Age of its transaction. */
  readonly transaction_s: number
}[]

const LOOK_MS = 500
const TELL_MS = 10_000

/**
 * Looks, from another session, for what `session` waits for.
 *
 * @param tell called with the sessions that hold it up, at most every 10 s
 */
export async function watchBlockers<Any>(
  session: Kysely<Any>,
  db: Kysely<Any>,
  tell: (blockers: Blockers) => void,
): Promise<{ seen: () => Blockers; stop: () => void }> {
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(session)
  const pid = rows[0]?.pid ?? 0
  let seen: Blockers = []
  let looking = false
  let tellAt = performance.now() + TELL_MS
  const look = async () => {
    if (looking) return
    looking = true
    try {
      const blockers = await blockersOf(db, pid)
      if (blockers.length === 0) return
      seen = blockers
      if (performance.now() < tellAt) return
      tellAt = performance.now() + TELL_MS
      tell(blockers)
    } catch {
      // It only tells. What is wrong with the server, the migration itself meets.
    } finally {
      looking = false
    }
  }
  const timer = setInterval(look, LOOK_MS)
  return { seen: () => seen, stop: () => clearInterval(timer) }
}

async function blockersOf<Any>(db: Kysely<Any>, pid: number): Promise<Blockers> {
  const { rows } = await sql<Blockers[number]>`
    select a.pid, a.application_name as application, coalesce(a.state, '') as state,
      coalesce(round(extract(epoch from clock_timestamp() - a.xact_start)), 0)::int as transaction_s
    from unnest(pg_blocking_pids(${pid})) as blocking (pid) join pg_stat_activity a using (pid)`.execute(db)
  return rows
}
