import pg from 'pg'
import { cancelStatement } from './cancel-statement.ts'
import { CommitInDoubtError, isFault, isStalePlan, mayBeItemsOwn, StandbyError } from './errors.ts'

const STATEMENTS_MAX = 200

/**
 * A session of the pool, with a primary. It is closed after an answer that did not come, here and on the server, and
 * knows what has committed and may not survive: by COMMIT, or as a statement outside a transaction.
 */
export class Session extends pg.Client {
  #warned = false
  #onStandby = false

  constructor(config?: string | pg.ClientConfig) {
    super(config)
    // By its place in PostgreSQL's source, as 01000 is the code of every warning that has no other.
    this.on('notice', ({ code, routine }) => {
      this.#warned ||= code === '01000' && routine === 'SyncRepWaitForLSN'
    })
    // Said before the first query, by PostgreSQL 14 and newer.
    this.connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
      if (parameterName === 'in_hot_standby') this.#onStandby = parameterValue === 'on'
    })
  }

  /** What fails before there is a session is the server's or the network's matter, whatever pg calls it: 08001. */
  override connect(): Promise<this>
  override connect(callback: (error: Error) => void): void
  override connect(callback?: (error: Error) => void): Promise<this> | undefined {
    if (!callback) {
      return new Promise((resolve, reject) => this.connect((error) => (error ? reject(error) : resolve(this))))
    }
    // Not by way of a promise: what follows in the same packet must find the pool's listeners.
    super.connect((error: Error | null) => callback(this.#refusal(error) as Error))
    return undefined
  }

  #refusal(error: Error | null): Error | null {
    if (error) return asUnconnected(error)
    if (!this.#onStandby) return null
    void this.end()
    return new StandbyError()
  }

  // biome-ignore lint/suspicious/noExplicitAny: pg's own has eight signatures; what they promise stays as it is.
  override query(...parameters: any[]): any {
    this.#warned = false
    const answer = Reflect.apply(super.query, this, named(parameters))
    if (!(answer instanceof Promise)) return answer
    return answer.then(
      (result) => {
        if (this.#warned) throw new CommitInDoubtError()
        return result
      },
      (error: Error) => {
        // It is still busy with that query, and the next one's answer would come after this one's, or never.
        if (error.message === 'Query read timeout') {
          cancelStatement(this)
          void this.end()
        }
        if (isStalePlan(error)) void this.end()
        throw error
      },
    )
  }
}

const names = new Map<string, string>()
/** Of the text: a name says what is executed, wherever only that is seen, and has at most 63. */
const NAME_CHARACTERS = 50

/**
 * A statement with parameters, prepared under a name of its own: a session then parses and plans it once. Texts that are
 * made up anew each time would fill its memory, so those that come too late stay unnamed.
 */
function named(parameters: unknown[]): unknown[] {
  const [text, values, ...more] = parameters
  if (typeof text !== 'string' || !Array.isArray(values) || values.length === 0 || more.length > 0) return parameters
  if (!names.has(text) && names.size < STATEMENTS_MAX)
    names.set(text, `${names.size} ${text.trim().slice(0, NAME_CHARACTERS)}`)
  const name = names.get(text)
  return name === undefined ? parameters : [{ name, text, values }]
}

/** Some errors of pg's, of TLS's and of poolers (XX000) would pass for a fault of the statement that was to be sent. */
function asUnconnected(error: Error): Error {
  return isFault(error) || mayBeItemsOwn(error) ? Object.assign(error, { code: '08001' }) : error
}
