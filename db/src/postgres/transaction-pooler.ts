import { DatabaseSettingError } from './errors.ts'
import { Session } from './session.ts'
import type { SessionConfig } from './session-config.ts'

/**
 * Refuses a pooler that gives a session another server session for each transaction or statement. Settings and prepared
 * statements of a session are then lost, and other clients get them.
 *
 * Two sessions are held open and take turns. Behind such a pooler, both get the same server session, or one gets two.
 *
 * @param openMs the limit for opening both sessions, in milliseconds. Their queries have a longer limit: eight queries to
 * a distant server, or to one that was just promoted, take longer than the start of a session
 * @throws DatabaseSettingError, or the error of a session that cannot be opened
 */
export async function refuseTransactionPooler({ limits: _, ...config }: SessionConfig, openMs: number): Promise<void> {
  // Without limits they change no setting. Behind such a pooler, another client would get the changed settings.
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
    // Not awaited: a silent server does not close its side either.
    for (const session of pair) void session.end()
  }
  if (servers.size === 2 && meetings.size === 2) return
  throw new DatabaseSettingError(
    'A pooler in transaction or statement mode is between this process and PostgreSQL. Connect to PostgreSQL directly, or through PgBouncer with pool_mode = session.',
  )
}

// The turns do not alternate, because a pooler with two server sessions may alternate too. There are eight of them, because
// other clients of a busy pooler may take a server session between two.
const TURNS = [0, 1, 1, 0, 0, 1, 1, 0] as const

const ASKING_MS = 5_000

/** Identifies the server session. The process id alone may be the same on two servers. */
async function serverSession(session: Session): Promise<string> {
  const { rows } = await session.query('select pg_backend_pid() as pid, pg_postmaster_start_time()::text as started')
  return `${rows[0].pid} ${rows[0].started}`
}
