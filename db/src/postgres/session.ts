import pg from 'pg'
import { cancelStatement } from './cancel-statement.ts'
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

/** Prepared statements of a session. */
const STATEMENTS_MAX = 200
/** Characters of SQL in a prepared statement's name, which pg_prepared_statements and logs show. At most 63 bytes count. */
const NAME_CHARACTERS = 50

/** What PostgreSQL reports when it changes, with the answer to the next statement: none of them may be on. */
const READ_ONLY_SIGNS = ['in_hot_standby', 'default_transaction_read_only']

/**
 * A session with a primary, on which everything that the code relies on is set and has been verified. It is closed after
 * an answer that did not come, here and on the server, and when its server turns read-only. It knows what has committed
 * and may not survive: by COMMIT, or as a statement outside a transaction.
 */
export class Session extends pg.Client {
  readonly #limits: SessionLimits | undefined
  readonly #onRefused: SessionConfig['onRefused']
  readonly #onOverdue: SessionConfig['onOverdue']
  readonly #names = new Map<string, string>()
  /** Set by PostgreSQL's warning that what commits may not have been replicated, until the answer that it comes with. */
  #isUnreplicated = false
  /** Why it must not be used any longer. */
  #unusable: Error | undefined
  #found: FoundSettings | undefined

  constructor(config: SessionConfig = {}) {
    super(config)
    this.#limits = config.limits
    this.#onRefused = config.onRefused
    this.#onOverdue = config.onOverdue
    // A statement that waits for its answer is rejected anyway. Without a listener the error would end the process.
    this.on('error', () => {})
    // By its place in PostgreSQL's source, as 01000 is the code of every warning that has no other.
    this.on('notice', ({ code, routine }) => {
      this.#isUnreplicated ||= code === '01000' && routine === 'SyncRepWaitForLSN'
    })
    this.connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
      if (this.#found && parameterValue === 'on' && READ_ONLY_SIGNS.includes(parameterName)) this.#turned(parameterName)
    })
  }

  /** What is in force, once it is connected: undefined for a session without limits. */
  get found(): FoundSettings | undefined {
    return this.#found
  }

  /**
   * Resolves once the session may be used.
   *
   * @throws ReadOnlyError, DatabaseSettingError; an error with the code 08001 where pg's own has none that says that the
   * server or the network is at fault
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

  // By callbacks, not promises: what follows the answer in the same packet must find the pool's listeners.
  #setAndVerify(limits: SessionLimits, done: (error: Error | null) => void): void {
    const statements = { text: settingStatements(limits), query_timeout: CONNECT_MS }
    super.query(statements, (error: Error | null, results: unknown) => {
      const found = error ? undefined : (results as pg.QueryResult<FoundSettings>[]).at(-1)?.rows[0]
      const refused = found ? refusal(limits, found) : asUnset(error ?? new Error('No answer to what a session sets'))
      if (!refused) {
        this.#found = found
        return done(null)
      }
      void this.end()
      if (refused instanceof ReadOnlyError || refused instanceof DatabaseSettingError) this.#onRefused?.(refused)
      done(refused)
    })
  }

  /** A pool drops an idle session when it hears of an error; one that is in use fails with its next answer. */
  #turned(setting: string): void {
    this.#unusable ??= new ReadOnlyError(`PostgreSQL turned read-only: ${setting} is on`)
    this.emit('error', this.#unusable)
  }

  // biome-ignore lint/suspicious/noExplicitAny: pg declares eight signatures, and this keeps all of them.
  override query(...parameters: any[]): any {
    const { stream } = this.connection
    // One write for all that is sent in this tick.
    stream.cork()
    process.nextTick(() => stream.uncork())
    if (parameters.some(isCallbackOrQuery)) return Reflect.apply(super.query, this, parameters)
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    let isSent = false
    const onAnswer = (error: Error | null, result: unknown) => {
      const isInDoubt = this.#isUnreplicated
      this.#isUnreplicated = false
      if (error) reject(this.#failed(error, isSent))
      else if (this.#unusable) reject(this.#leave(this.#unusable))
      else if (isInDoubt) reject(new CommitInDoubtError())
      else resolve(result)
    }
    Reflect.apply(super.query, this, [...this.#named(parameters), onAnswer])
    isSent = true
    return promise
  }

  /** The error to report for a query that failed. Closes the session where it cannot be used again. */
  #failed(error: Error, isSent: boolean): Error {
    const isOverdue = error.message === 'Query read timeout'
    if (isOverdue && !this.#unusable) {
      this.#onOverdue?.()
      cancelStatement(this)
    }
    // After an overdue answer, the answer to the next query would come later still, or never. A statement that pg could
    // not send, as it cannot write a parameter, must not be followed by its COMMIT.
    if (isOverdue || !isSent || isStalePlan(error) || isReadOnly(error)) this.#leave(error)
    // Why the session was closed says more than that it is closed.
    return this.#unusable ?? error
  }

  #leave(reason: Error): Error {
    this.#unusable ??= reason
    void this.end()
    return this.#unusable
  }

  /**
   * A statement with parameters is prepared under a name, so that PostgreSQL parses and plans it once for this session.
   * Texts that are made up each time would fill PostgreSQL's memory, so only the first ones get a name.
   */
  #named(parameters: unknown[]): unknown[] {
    const [text, values, ...more] = parameters
    if (typeof text !== 'string' || !Array.isArray(values) || values.length === 0 || more.length > 0) return parameters
    if (!this.#names.has(text) && this.#names.size < STATEMENTS_MAX)
      this.#names.set(text, `${this.#names.size} ${text.trim().slice(0, NAME_CHARACTERS)}`)
    const name = this.#names.get(text)
    return name === undefined ? parameters : [{ name, text, values }]
  }
}

function isCallbackOrQuery(parameter: unknown): boolean {
  if (typeof parameter === 'function') return true
  return typeof parameter === 'object' && parameter !== null && 'submit' in parameter
}

/** Classes 22 and 42: PostgreSQL answered, and does not take a setting or knows none of this name. */
function asUnset(error: Error & { code?: string }): Error {
  if (!/^(22|42)...$/.test(error.code ?? '')) return asUnconnected(error)
  return new DatabaseSettingError(`PostgreSQL refuses what each session sets for itself: ${error.message}`)
}

/** Some errors of pg's, of TLS's and of poolers (XX000) would pass for a fault of the statement that was to be sent. */
export function asUnconnected(error: Error): Error {
  return isPermanent(error) || mayBeItemsOwn(error) ? Object.assign(error, { code: '08001' }) : error
}
