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

const STATEMENTS_MAX = 200

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
  #warned = false
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
      this.#warned ||= code === '01000' && routine === 'SyncRepWaitForLSN'
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

  // biome-ignore lint/suspicious/noExplicitAny: pg's own has eight signatures; what they promise stays as it is.
  override query(...parameters: any[]): any {
    this.#warned = false
    const answer = Reflect.apply(super.query, this, named(parameters))
    if (!(answer instanceof Promise)) return answer
    return answer.then(
      (result) => {
        if (this.#unusable) throw this.#leave(this.#unusable)
        if (this.#warned) throw new CommitInDoubtError()
        return result
      },
      (error: Error) => {
        // It is still busy with that query, and the next one's answer would come after this one's, or never.
        const isBusy = error.message === 'Query read timeout'
        if (isBusy) {
          this.#onOverdue?.()
          cancelStatement(this)
        }
        if (isBusy || isStalePlan(error) || isReadOnly(error)) this.#leave(error)
        // Of a ROLLBACK on a closed session, its error would hide why it was closed.
        throw this.#unusable ?? error
      },
    )
  }

  #leave(reason: Error): Error {
    this.#unusable ??= reason
    void this.end()
    return this.#unusable
  }
}

const names = new Map<string, string>()
/** Of the text: a name says what is executed, wherever only that is seen, and has at most 63. */
const NAME_CHARACTERS = 50

/**
 * A statement with parameters, prepared under a name of its own: a session then parses and plans it once. Texts that are
 * made up each time would fill its memory, so those that come too late stay unnamed.
 */
function named(parameters: unknown[]): unknown[] {
  const [text, values, ...more] = parameters
  if (typeof text !== 'string' || !Array.isArray(values) || values.length === 0 || more.length > 0) return parameters
  if (!names.has(text) && names.size < STATEMENTS_MAX)
    names.set(text, `${names.size} ${text.trim().slice(0, NAME_CHARACTERS)}`)
  const name = names.get(text)
  return name === undefined ? parameters : [{ name, text, values }]
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
