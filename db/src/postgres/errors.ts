import { DatabaseTlsError } from './tls-errors.ts'

/**
 * COMMIT succeeded with a warning: PostgreSQL stopped waiting for the synchronous standby, so the transaction may be lost
 * with this primary. If it is run again, it finds its own rows and waits for the standby itself.
 */
export class CommitInDoubtError extends Error {
  readonly code = 'commit_in_doubt'

  constructor() {
    super('The transaction has committed, but might not have been replicated')
  }
}

/**
 * The server takes no writes: it is a standby, or a primary that was set to read-only. It may lack transactions that
 * another server has committed, so nothing is read from it either.
 */
export class ReadOnlyError extends Error {
  readonly code = '57P03'
}

/**
 * A standby of the server was promoted, so the server is not the primary, even if it takes writes. Its rows are old, and
 * its new rows may be lost.
 */
export class OldTimelineError extends Error {
  readonly code = '08006'

  constructor(timeline: number, highest: number) {
    super(
      `The server is on timeline ${timeline}, but timeline ${highest} of the same system was seen: a standby was promoted. ` +
        'If the server is right, as after a restored backup, restart the service',
    )
  }
}

/** No session could be opened on any of several hosts. */
export class NoHostError extends Error {
  readonly code = '08001'
  /** The error of each host. */
  readonly errors: readonly unknown[]

  constructor(errors: ReadonlyMap<{ readonly name: string }, unknown>) {
    const reasons = [...errors].map(([{ name }, error]) => `${name}: ${error instanceof Error ? error.message : error}`)
    super(`No database host can be used: ${reasons.join('; ')}`)
    this.errors = [...errors.values()]
  }
}

/** A setting of the server, the database, the role or a pooler breaks a guarantee. The message says what to do. */
export class DatabaseSettingError extends Error {
  readonly code = 'database_setting'
}

const RETRYABLE = new Set([
  'commit_in_doubt',
  'database_setting', // An operator may correct it at any time.
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '55P03', // lock_not_available
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '53300', // too_many_connections
  '25006', // read_only_sql_transaction: an old primary
])

// ERR_SSL and the like: TLS ends a connection when a byte on it was changed.
const NETWORK =
  /^(ECONNREFUSED|ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|ENETUNREACH|EHOSTUNREACH|ERR_(SSL|TLS|OSSL)_.*)$/

// Messages of pg and pg-pool about a lost or missing connection, which have no code.
const CODELESS =
  /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|Query read timeout|timeout expired|Client was closed|.* is not queryable)/i

/**
 * True if the same transaction may succeed when it is run again at once as a whole: after a conflict, or while the server
 * is unavailable. A COMMIT that fails like this may have taken effect, so the whole transaction has to be idempotent.
 */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof AggregateError) return error.errors.every(isTransient)
  if (error instanceof NoHostError) return error.errors.some(isTransient)
  const code = codeOf(error)
  if (code === undefined) return CODELESS.test(error.message)
  return isStalePlan(error) || RETRYABLE.has(code) || NETWORK.test(code) || /^08...$/.test(code)
}

/**
 * True if repeating the work cannot succeed: the error is a bug, or PostgreSQL will always refuse the statement (classes
 * 0A, 21, 22, 23, 42 and P0 of its error codes). Every other cause may end: a full disk, a changed password, a database
 * that takes no connections, a statement that took too long.
 */
export function isPermanent(error: unknown): boolean {
  if (isTransient(error)) return false
  if (!(error instanceof Error)) return true
  const code = codeOf(error)
  return code === undefined || /^ERR_/.test(code) || /^(0A|21|22|23|42|P0)...$/.test(code)
}

// SQLSTATEs about the server, the session, the load or the disk (08, 25, 26, 28, 3D, 40, 53, 55, 57, 58), or about the
// statement with any rows (0A, 42). The exception is 58030, which PostgreSQL reports for a single unreadable page.
const NOT_OF_AN_ITEM = /^(08|25|26|28|3D|40|53|55|57|58(?!030)|0A|42)/

/**
 * True if one item may have caused PostgreSQL's error, by its values or by the rows and pages that it needs. Examples are
 * damaged data and internal errors (XX), an unreadable page (58030), a program limit (54) and a constraint (23). The same
 * statement may succeed for another item.
 */
export function mayBeItemsOwn(error: unknown): boolean {
  const state = sqlStateOf(error)
  return state !== undefined && !NOT_OF_AN_ITEM.test(state) && !concernsAll(error as Error)
}

/** True if PostgreSQL cannot read or write a row that the statement needs: damaged data, an internal error, or a program limit. */
export function isDamage(error: unknown): error is Error & { code: string } {
  return mayBeItemsOwn(error) && /^(XX...|54...|58030)$/.test(sqlStateOf(error) ?? '')
}

/** True if every statement gets this error, although its SQLSTATE may also concern one: XX000 of a pooler, and 54000. */
function concernsAll(error: Error): boolean {
  return endsSession(error) || ('routine' in error && OUT_OF_IDS.has(String(error.routine)))
}

// Places in PostgreSQL's source. PostgreSQL takes no writes until VACUUM has freed transaction ids.
const OUT_OF_IDS = new Set(['GetNewTransactionId', 'GetNewMultiXactId'])

/** True if the error ended the session, so that no statement caused it. Poolers, and PostgreSQL in most languages, use these words. */
function endsSession(error: Error): boolean {
  return 'severity' in error && (error.severity === 'FATAL' || error.severity === 'PANIC')
}

/** True if no server worked on the statement, or none answered. False if PostgreSQL answered that the statement failed. */
export function isAway(error: unknown): boolean {
  const state = sqlStateOf(error)
  if (state !== undefined && endsSession(error as Error)) return true
  // 55000 is the code of a database that takes no connections.
  return state === undefined ? !isPermanent(error) : /^(08...|25006|28...|3D...|57P..|53300|55000)$/.test(state)
}

const SETTINGS_BY_STATE: Readonly<Record<string, string>> = {
  '28000': 'DATABASE_URL, or DB_USER, DB_PASSWORD, DB_SSLMODE and DB_SSLCERT', // invalid_authorization_specification
  '28P01': 'DATABASE_URL, or DB_USER and DB_PASSWORD', // invalid_password
  '3D000': 'DATABASE_URL, or DB_NAME', // invalid_catalog_name
  '42501': 'DATABASE_URL, or DB_USER', // insufficient_privilege
}

/** The settings to check when TLS failed, or when PostgreSQL refused this user, or refused it this database. */
export function refusedSettings(error: unknown): string | undefined {
  if (error instanceof DatabaseTlsError) return error.settings
  if (error instanceof NoHostError) return error.errors.map(refusedSettings).find((settings) => settings !== undefined)
  const state = sqlStateOf(error)
  return state === undefined ? undefined : SETTINGS_BY_STATE[state]
}

/** PostgreSQL's code of an error. Node has codes of five letters too, such as EPIPE. */
function sqlStateOf(error: unknown): string | undefined {
  const code = error instanceof Error ? codeOf(error) : undefined
  return code !== undefined && /^(?!E)[0-9A-Z]{5}$/.test(code) ? code : undefined
}

/** True if a migration changed the columns that a prepared statement returns. Its session cannot use the statement again. */
export function isStalePlan(error: Error): boolean {
  // `routine` is a place in PostgreSQL's source. The message is in the server's language.
  return codeOf(error) === '0A000' && 'routine' in error && error.routine === 'RevalidateCachedQuery'
}

/** True if the session's server takes no writes, so that another one may be the primary. */
export function isReadOnly(error: Error): boolean {
  return codeOf(error) === '25006'
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
