import { DatabaseSettingError } from './errors.ts'
import { Session } from './session.ts'
import type { SessionConfig } from './session-config.ts'

/**
 * Refuses a pooler that gives a session another server session for each transaction, or for each statement: it drops
 * settings and prepared statements, and lends them to others. Two sessions are held open and take turns. Behind such a
 * pooler both meet one server session, or one of them meets two.
 *
 * @param openMs how long the sessions may take to be opened. What they ask after that has the limit of a statement: far
 * away, or on a server that was just promoted, eight questions take longer than a session's start
 * @throws DatabaseSettingError, or what kept the sessions from being opened
 */
export async function refuseTransactionPooler({ limits: _, ...config }: SessionConfig, openMs: number): Promise<void> {
  // They set nothing, for behind such a pooler another client would get it.
  const pair = [new Session(config), new Session(config)] as const
  const servers = new Set<string>()
  const meetings = new Set<string>()
  const end = () => {
    for (const { connection } of pair) connection.stream.destroy(new Error('timeout expired'))
  }
  let limit = setTimeout(end, openMs)
  try {
    await Promise.all(pair.map((session) => session.connect()))
    clearTimeout(limit)
    limit = setTimeout(end, ASKING_MS)
    for (const turn of TURNS) {
      const server = await serverSession(pair[turn])
      servers.add(server)
      meetings.add(`${turn} ${server}`)
    }
  } finally {
    clearTimeout(limit)
    // Not awaited: a server that has fallen silent does not answer the farewell either.
    for (const session of pair) void session.end()
  }
  if (servers.size === 2 && meetings.size === 2) return
  throw new DatabaseSettingError(
    'A pooler in transaction or statement mode is between this process and PostgreSQL. Connect to PostgreSQL directly, or through PgBouncer with pool_mode = session.',
  )
}

// Not one after the other: a pooler with two server sessions may take turns as well. More than four questions, as other
// clients of a busy pooler may take a server session between two of them.
const TURNS = [0, 1, 1, 0, 0, 1, 1, 0] as const

const ASKING_MS = 5_000

/** Process ids alone may be the same on two servers. */
async function serverSession(session: Session): Promise<string> {
  const { rows } = await session.query('select pg_backend_pid() as pid, pg_postmaster_start_time()::text as started')
  return `${rows[0].pid} ${rows[0].started}`
}
