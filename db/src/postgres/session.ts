import pg from 'pg'
import { SCHEMA_TOO_OLD } from '../migrate/schema.ts'
import { BeginQuery } from './begin-query.ts'
import {
  CommitInDoubtError,
  DatabaseSettingError,
  isPermanent,
  isReadOnly,
  isStalePlan,
  mayBeItemsOwn,
  ReadOnlyError,
} from './errors.ts'
import { CONNECT_MS, type SessionConfig } from './session-config.ts'
import { type FoundSettings, refusal, type SessionLimits, settingStatements } from './session-settings.ts'
import { openServerSocket, type SessionTls } from './tls.ts'
import { tlsError } from './tls-errors.ts'

/** Maximum number of prepared statements of a session. */
const STATEMENTS_MAX = 200
/** Characters of SQL kept in a prepared statement's name, for logs. PostgreSQL truncates names at 63 bytes. */
const NAME_CHARACTERS = 50

/** Settings that PostgreSQL reports when they change, with the answer to the next statement. Both must be off. */
const READ_ONLY_SIGNS = ['in_hot_standby', 'default_transaction_read_only']

/**
 * A session with the primary. Every setting that the code relies on is set and verified before the session is used.
 *
 * It is closed, here and on the server, after a query that was not answered in time, and when its server turns read-only.
 * A query that committed, but may not have been replicated, fails with `CommitInDoubtError`.
 */
export class Session extends pg.Client {
  readonly #tls: SessionConfig['tls']
  readonly #limits: SessionLimits | undefined
  readonly #onRefused: SessionConfig['onRefused']
  readonly #onOverdue: SessionConfig['onOverdue']
  readonly #names = new Map<string, string>()
  /** PostgreSQL has warned that a commit may not have been replicated. The warning comes before the answer to that query. */
  #isUnreplicated = false
  /** Why the session must not be used again. */
  #unusable: Error | undefined
  #found: FoundSettings | undefined

  /** @throws DatabaseTlsError if the files of certificates have never been usable */
  constructor(config: SessionConfig = {}) {
    super(config.tls ? { ...config, ...clientTls(config.tls) } : config)
    this.#tls = config.tls
    this.#limits = config.limits
    this.#onRefused = config.onRefused
    this.#onOverdue = config.onOverdue
    // Without a listener the error would end the process. Queries in flight are rejected with it as well.
    this.on('error', () => {})
    // 01000 is the code of every warning that has none of its own, so `routine`, a place in PostgreSQL's source, decides.
    this.on('notice', ({ code, routine }) => {
      this.#isUnreplicated ||= code === '01000' && routine === 'SyncRepWaitForLSN'
    })
    this.connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
      if (this.#found && parameterValue === 'on' && READ_ONLY_SIGNS.includes(parameterName))
        this.#onReadOnly(parameterName)
    })
  }

  /** The settings in force, once the session is connected. Undefined for a session without limits. */
  get found(): FoundSettings | undefined {
    return this.#found
  }

  /**
   * Resolves once the session may be used.
   *
   * @throws ReadOnlyError, DatabaseSettingError, or the error of pg. That gets the code 08001 unless its own code already
   * means that the server or the network is at fault
   */
  override connect(): Promise<this>
  override connect(callback: (error: Error) => void): void
  override connect(callback?: (error: Error) => void): Promise<this> | undefined {
    if (!callback) {
      return new Promise((resolve, reject) => this.connect((error) => (error ? reject(error) : resolve(this))))
    }
    const done = callback as (error: Error | null) => void
    super.connect((error: Error | null) => {
      if (error) done(asUnconnected(error))
      else if (this.#limits) this.#setAndVerify(this.#limits, done)
      else done(null)
    })
    return undefined
  }

  // Callbacks instead of promises: an error that follows the answer in the same packet must find the pool's listeners.
  #setAndVerify(limits: SessionLimits, done: (error: Error | null) => void): void {
    const statements = { text: settingStatements(limits), query_timeout: CONNECT_MS }
    super.query(statements, (error: Error | null, results: unknown) => {
      const found = error ? undefined : (results as pg.QueryResult<FoundSettings>[]).at(-1)?.rows[0]
      const refused = found
        ? refusal(limits, found)
        : asUnset(error ?? new Error('no answer to the settings of the session'))
      if (!refused) {
        this.#found = found
        return done(null)
      }
      void this.end()
      if (refused instanceof ReadOnlyError || refused instanceof DatabaseSettingError) this.#onRefused?.(refused)
      done(refused)
    })
  }

  /** The pool drops an idle session on this error. A session in use fails with its next answer. */
  #onReadOnly(setting: string): void {
    this.#unusable ??= new ReadOnlyError(`PostgreSQL turned read-only: ${setting} is on`)
    this.emit('error', this.#unusable)
  }

  // biome-ignore lint/suspicious/noExplicitAny: pg declares eight signatures, and this keeps all of them.
  override query(...parameters: any[]): any {
    if (parameters.some(isCallbackOrQuery)) return Reflect.apply(super.query, this, parameters)
    const [text, values, ...more] = parameters
    const isPlain = typeof text === 'string' && Array.isArray(values) && more.length === 0
    return this.#answered(isPlain ? [this.#named(text, values)] : parameters)
  }

  /** Sends a statement together with its transaction's BEGIN. */
  queryAfter(begin: string, text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
    return this.#answered([new BeginQuery(begin, this.#named(text, values))])
  }

  async #answered<Result>(parameters: unknown[]): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    const onAnswer = (error: Error | null, result: Result) => {
      const isInDoubt = this.#isUnreplicated
      this.#isUnreplicated = false
      if (error) reject(this.#failed(error))
      else if (this.#unusable) reject(this.#close(this.#unusable))
      else if (isInDoubt) reject(new CommitInDoubtError())
      else resolve(result)
    }
    Reflect.apply(super.query, this, [...parameters, onAnswer])
    try {
      return await promise
    } catch (error) {
      // The stack of an answer leads to the socket. This one leads to the caller.
      Error.captureStackTrace(error as Error)
      throw error
    }
  }

  /** The error to report for a query that failed. Closes the session if it cannot be used again. */
  #failed(error: Error): Error {
    const isOverdue = error.message === 'Query read timeout'
    if (isOverdue && !this.#unusable) {
      this.#onOverdue?.()
      void cancelStatement(this, this.#tls).catch(() => {})
    }
    // After an overdue answer, the next query would be answered later still, or never. After an error of pg itself, such
    // as a parameter that it cannot write, it may be wrong about the statements that are prepared.
    const isOfServer = error instanceof pg.DatabaseError
    if (!isOfServer || isStalePlan(error) || isReadOnly(error)) this.#close(error)
    // The server may be silent for good, so its end of the connection is not awaited.
    if (isOverdue) this.connection.stream.destroy()
    // The reason why the session was closed says more than the error of a closed session.
    return this.#unusable ?? error
  }

  #close(reason: Error): Error {
    this.#unusable ??= reason
    void this.end()
    return this.#unusable
  }

  /**
   * Gives a statement with parameters a name, so that PostgreSQL parses and plans it once for this session. Texts that
   * differ each time would fill PostgreSQL's memory, so only the first `STATEMENTS_MAX` texts get a name.
   */
  #named(text: string, values: readonly unknown[]): pg.QueryConfig {
    const statement = { text, values: [...values] }
    if (values.length === 0) return statement
    if (!this.#names.has(text) && this.#names.size < STATEMENTS_MAX)
      this.#names.set(text, `${this.#names.size} ${text.trim().slice(0, NAME_CHARACTERS)}`)
    const name = this.#names.get(text)
    return name === undefined ? statement : { ...statement, name }
  }
}

/** True for the parameters with which pg returns no promise: a callback, or a query object of its own. */
function isCallbackOrQuery(parameter: unknown): boolean {
  if (typeof parameter === 'function') return true
  return typeof parameter === 'object' && parameter !== null && 'submit' in parameter
}

/** Classes 22 and 42: PostgreSQL refuses the value of a setting, or does not know its name. */
function asUnset(error: Error & { code?: string }): Error {
  // 42P01, undefined_table: the table of the deployment's mode.
  if (error.code === '42P01') return new DatabaseSettingError(SCHEMA_TOO_OLD)
  if (!/^(22|42)...$/.test(error.code ?? '')) return asUnconnected(error)
  return new DatabaseSettingError(`PostgreSQL refuses what each session sets and reads at its start: ${error.message}`)
}

/**
 * The error of a session that could not be opened. Some errors of pg and poolers (XX000) would pass for an error of the
 * statement that was to be sent.
 */
export function asUnconnected(error: Error): Error {
  const ofTls = tlsError(error)
  if (ofTls) return ofTls
  return isPermanent(error) || mayBeItemsOwn(error) ? Object.assign(error, { code: '08001' }) : error
}

function clientTls({ options, isDirect }: SessionTls): pg.ClientConfig {
  return { ssl: options(), sslnegotiation: isDirect ? 'direct' : 'postgres' }
}

const CANCEL_REQUEST = 80_877_102
const CANCEL_MS = 5_000

/**
 * Asks PostgreSQL to cancel what a session executes, on a connection of its own (Frontend/Backend Protocol,
 * CancelRequest). No limit of the server ends a COMMIT that waits for a synchronous standby, and nothing else ends its
 * server process. The key is as secret as the session, so this connection is protected in the same way.
 */
async function cancelStatement(
  { host, port, processID, secretKey }: Session & { processID?: unknown; secretKey?: unknown },
  tls: SessionTls | undefined,
): Promise<void> {
  if (typeof processID !== 'number' || typeof secretKey !== 'number') return
  const request = Buffer.alloc(16)
  for (const [at, value] of [16, CANCEL_REQUEST, processID, secretKey].entries()) request.writeInt32BE(value, at * 4)
  const how = { options: tls?.options(), isDirect: tls?.isDirect ?? false, limitMs: CANCEL_MS }
  const socket = await openServerSocket({ host, port }, how)
  // PostgreSQL closes the connection without an answer.
  socket.setTimeout(CANCEL_MS, () => socket.destroy())
  socket.resume().end(request)
}
