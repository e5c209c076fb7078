/**
 * COMMIT was answered, but with a warning: nobody waits for the synchronous standby any longer, so the transaction may
 * be lost with this primary. Run again, it finds what it did, and waits for the standby itself.
 */
export class CommitInDoubtError extends Error {
  readonly code = 'commit_in_doubt'

  constructor() {
    super('The transaction has committed, but might not have been replicated')
  }
}

/**
 * The server takes no writes: a standby, or a primary that was told to. It may be behind what another server has
 * committed, so nothing is read from it either.
 */
export class ReadOnlyError extends Error {
  readonly code = '57P03'
}

/**
 * A standby of the server was promoted, so it is no longer the primary, even if it takes writes. What it shows is old, and
 * what it stores may be lost.
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

/** None of several hosts gave a session that may be used. */
export class NoHostError extends Error {
  readonly code = '08001'
  /** Of each host. */
  readonly errors: readonly unknown[]

  constructor(errors: ReadonlyMap<{ readonly name: string }, unknown>) {
    const reasons = [...errors].map(([{ name }, error]) => `${name}: ${error instanceof Error ? error.message : error}`)
    super(`No database host can be used: ${reasons.join('; ')}`)
    this.errors = [...errors.values()]
  }
}

/** A setting of the server, the database, the role or a pooler that breaks a guarantee. The message says what to do. */
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

const NETWORK = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
])

// What pg and pg-pool say of a lost or missing connection without any code.
const CODELESS =
  /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|Query read timeout|timeout expired|Client was closed|.* is not queryable)/i

/**
 * Whether the same transaction may succeed when it is run again at once, as a whole: conflicts, and a server that is
 * away. The outcome of a transaction whose COMMIT failed like this is in doubt, so that whole has to be idempotent.
 */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error instanceof AggregateError) return error.errors.every(isTransient)
  if (error instanceof NoHostError) return error.errors.some(isTransient)
  const code = codeOf(error)
  if (code === undefined) return CODELESS.test(error.message)
  return isStalePlan(error) || RETRYABLE.has(code) || NETWORK.has(code) || /^08...$/.test(code)
}

/**
 * Whether an error is the work's own fault, which repeating does not change: a bug, or a statement that PostgreSQL will always
 * refuse (classes 0A, 21, 22, 23, 42 and P0 of its error codes). All else may pass: a full disk, a changed password, a
 * database that takes no connections, a statement that took too long.
 */
export function isPermanent(error: unknown): boolean {
  if (isTransient(error)) return false
  if (!(error instanceof Error)) return true
  const code = codeOf(error)
  return code === undefined || /^ERR_/.test(code) || /^(0A|21|22|23|42|P0)...$/.test(code)
}

// What an SQLSTATE says of the server, the session, the load or the disk (08, 25, 26, 28, 3D, 40, 53, 55, 57, 58), or of the
// statement, with any rows (0A, 42). But 58030 is what PostgreSQL says of a single page that the disk cannot read.
const NOT_OF_AN_ITEM = /^(08|25|26|28|3D|40|53|55|57|58(?!030)|0A|42)/

/**
 * Whether PostgreSQL answered a statement with an error that one item may have caused, by its values or by the rows and
 * pages that it needs: damaged data and internal errors (XX), an unreadable page (58030), a program limit (54), a
 * constraint (23) and the like. The same statement about another item may succeed.
 */
export function mayBeItemsOwn(error: unknown): boolean {
  const state = sqlStateOf(error)
  return state !== undefined && !NOT_OF_AN_ITEM.test(state) && !isOfAll(error as Error)
}

/** Whether an error meets every statement, although its SQLSTATE may be that of one: XX000 from a pooler, and 54000. */
function isOfAll(error: Error): boolean {
  return endsSession(error) || ('routine' in error && OUT_OF_IDS.has(String(error.routine)))
}

// By their place in PostgreSQL's source. It takes no writes until VACUUM has freed ids of transactions.
const OUT_OF_IDS = new Set(['GetNewTransactionId', 'GetNewMultiXactId'])

/** It is not about a statement. Poolers always say it in English, PostgreSQL in most languages. */
function endsSession(error: Error): boolean {
  return 'severity' in error && (error.severity === 'FATAL' || error.severity === 'PANIC')
}

/** Whether a statement met no working server, or got no answer. False when PostgreSQL answered that it failed. */
export function isAway(error: unknown): boolean {
  const state = sqlStateOf(error)
  if (state !== undefined && endsSession(error as Error)) return true
  // 55000 is that of a database that takes no connections.
  return state === undefined ? !isPermanent(error) : /^(08...|25006|28...|3D...|57P..|53300|55000)$/.test(state)
}

const SETTINGS_BY_STATE: Readonly<Record<string, string>> = {
  '28000': 'DATABASE_URL, or DB_USER and DB_PASSWORD', // invalid_authorization_specification
  '28P01': 'DATABASE_URL, or DB_USER and DB_PASSWORD', // invalid_password
  '3D000': 'DATABASE_URL, or DB_NAME', // invalid_catalog_name
  '42501': 'DATABASE_URL, or DB_USER', // insufficient_privilege
}

/** The settings to look at where PostgreSQL answered, and does not let this user in, or not into this database. */
export function refusedSettings(error: unknown): string | undefined {
  if (error instanceof NoHostError) return error.errors.map(refusedSettings).find((settings) => settings !== undefined)
  return SETTINGS_BY_STATE[sqlStateOf(error) ?? '']
}

/** PostgreSQL's code of an error. Node has codes with five letters as well, such as EPIPE. */
function sqlStateOf(error: unknown): string | undefined {
  const code = error instanceof Error ? codeOf(error) : undefined
  return code !== undefined && /^(?!E)[0-9A-Z]{5}$/.test(code) ? code : undefined
}

/** A prepared statement would return other columns than it did: a migration came between. Its session cannot use it again. */
export function isStalePlan(error: Error): boolean {
  // By its place in PostgreSQL's source: the message is in the server's language.
  return codeOf(error) === '0A000' && 'routine' in error && error.routine === 'RevalidateCachedQuery'
}

/** The session's server takes no writes (any longer): another one may be the primary now. */
export function isReadOnly(error: Error): boolean {
  return codeOf(error) === '25006'
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
