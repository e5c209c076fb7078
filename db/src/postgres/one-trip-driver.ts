import { defined } from '@cashflow/async'
import {
  AbortedTransactionError,
  type CompiledQuery,
  type DatabaseConnection,
  type KyselyPlugin,
  PostgresDialect,
  PostgresDriver,
  type PostgresPool,
  type QueryResult,
  type RootOperationNode,
  type Transaction,
  type TransactionSettings,
} from 'kysely'
import type pg from 'pg'
import type { Tables } from '../tables.ts'
import type { Session } from './session.ts'

/**
 * The same transaction, for its only statement. It is sent without BEGIN and COMMIT, because PostgreSQL executes a statement
 * outside of a transaction block in a transaction of its own (PostgreSQL, Frontend/Backend Protocol, Extended Query).
 *
 * An error that the caller throws after this statement rolls nothing back.
 */
export function onlyStatement(tx: Transaction<Tables>): Transaction<Tables> {
  return tx.withPlugin(MARK_AS_ONLY)
}

const ONLY = Symbol('only statement')

const MARK_AS_ONLY: KyselyPlugin = {
  transformQuery: ({ node }) => Object.freeze({ ...node, [ONLY]: true }),
  transformResult: async ({ result }) => result,
}

/**
 * Kysely's dialect of PostgreSQL with fewer round trips. BEGIN is sent together with the transaction's first statement. A
 * transaction whose only statement is marked by `onlyStatement` takes one trip.
 */
export class OneTripDialect extends PostgresDialect {
  readonly #open: () => Promise<PostgresPool>

  /** @param open opens a pool of `Session`s */
  constructor(open: () => Promise<PostgresPool>) {
    super({ pool: open })
    this.#open = open
  }

  override createDriver(): OneTripDriver {
    return new OneTripDriver(this.#open)
  }
}

type PooledSession = Session & { release(destroy: boolean): void }

class OneTripDriver extends PostgresDriver {
  readonly #open: () => Promise<PostgresPool>
  #pool: PostgresPool | undefined

  constructor(open: () => Promise<PostgresPool>) {
    super({ pool: open })
    this.#open = open
  }

  override async init(): Promise<void> {
    this.#pool = await this.#open()
  }

  override async acquireConnection(): Promise<OneTripConnection> {
    const session = (await this.#pool?.connect()) as unknown as PooledSession | undefined
    if (session && this.#pool) return new OneTripConnection(session)
    session?.release(false)
    throw new Error('the database is closed')
  }

  override async beginTransaction(connection: OneTripConnection, settings: TransactionSettings): Promise<void> {
    connection.begin(settings)
  }

  override commitTransaction(connection: OneTripConnection): Promise<void> {
    return connection.commit()
  }

  override rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    return (connection as OneTripConnection).rollBack()
  }

  override async releaseConnection(connection: DatabaseConnection): Promise<void> {
    ;(connection as OneTripConnection).release()
  }

  override async destroy(): Promise<void> {
    const pool = this.#pool
    this.#pool = undefined
    await pool?.end()
  }
}

interface TransactionState {
  /** The transaction's settings, until its first statement. */
  readonly held?: TransactionSettings
  /** Makes the error of a further statement: PostgreSQL may be in no transaction, and would execute it on its own. */
  readonly refusal?: () => unknown
  /** State of the statement that is a transaction by itself. */
  readonly only?: 'sent' | 'committed'
}

const ended = () => new Error('bug: a statement was sent after its transaction had ended. Await each statement in it')
const notAlone = () =>
  new Error('bug: a statement marked by onlyStatement has to be the only one of its transaction, and be awaited in it')

const ENDED: TransactionState = { refusal: ended }

/** A session for as long as it is taken from the pool. */
class OneTripConnection implements DatabaseConnection {
  readonly #session: PooledSession
  #transaction: TransactionState = {}
  #isBroken = false

  constructor(session: PooledSession) {
    this.#session = session
  }

  begin(settings: TransactionSettings): void {
    this.#transaction = { held: settings }
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const { held, refusal } = this.#transaction
    if (refusal) throw refusal()
    if (isOnly(query)) return await this.#executeOnly(query)
    if (held) return await this.#executeFirst(query, held)
    return resultOf(await this.#session.query(query.sql, query.parameters))
  }

  async #executeFirst<Row>(query: CompiledQuery, settings: TransactionSettings): Promise<QueryResult<Row>> {
    const { sql, parameters } = query
    this.#transaction = {}
    try {
      if (isOneStatement(query)) return resultOf(await this.#session.queryAfter(beginOf(settings), sql, parameters))
      await this.#session.query(beginOf(settings))
      return resultOf(await this.#session.query(sql, parameters))
    } catch (error) {
      this.#transaction = { refusal: () => error }
      throw error
    }
  }

  async #executeOnly<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const { held } = this.#transaction
    if (!held) throw notAlone()
    if (held.isolationLevel || held.accessMode) throw new Error('bug: without BEGIN, a transaction has no settings')
    this.#transaction = { refusal: notAlone, only: 'sent' }
    try {
      const result = await this.#session.query(query.sql, query.parameters)
      this.#transaction = { refusal: notAlone, only: 'committed' }
      return resultOf(result)
    } catch (error) {
      this.#transaction = { refusal: () => error, only: 'sent' }
      throw error
    }
  }

  /** @throws AbortedTransactionError if an earlier statement failed: PostgreSQL then answers COMMIT with a rollback */
  async commit(): Promise<void> {
    const { held, refusal, only } = this.#transaction
    if (!held && only !== 'committed') {
      if (refusal) throw refusal()
      this.#transaction = ENDED
      const { command } = await this.#session.query('commit')
      if (command === 'ROLLBACK') throw new AbortedTransactionError()
    }
    this.#transaction = {}
  }

  async rollBack(): Promise<void> {
    const { held, only } = this.#transaction
    this.#transaction = ENDED
    // If ROLLBACK fails, the session is closed, and PostgreSQL rolls back. The caller gets the error that led to ROLLBACK.
    if (!held && !only)
      await this.#session.query('rollback').catch(() => {
        this.#isBroken = true
      })
    this.#transaction = {}
    if (only === 'committed')
      throw new Error('bug: an error after the only statement of a transaction, which has committed')
  }

  release(): void {
    this.#transaction = ENDED
    this.#session.release(this.#isBroken)
  }

  // biome-ignore lint/correctness/useYield: Kysely asks for it, and nothing here streams.
  async *streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new Error('bug: queries are not streamed')
  }
}

function beginOf({ isolationLevel, accessMode }: TransactionSettings): string {
  return ['begin', isolationLevel && `isolation level ${isolationLevel}`, accessMode].filter(Boolean).join(' ')
}

function isOnly({ query }: { query: RootOperationNode & { [ONLY]?: true } }): boolean {
  return query[ONLY] === true
}

/** False for SQL text that may be several statements, which PostgreSQL takes only in a message of their own. */
function isOneStatement({ query, parameters }: CompiledQuery): boolean {
  return query.kind !== 'RawNode' || parameters.length > 0
}

function resultOf<Row>({ command, rowCount, rows }: pg.QueryResult): QueryResult<Row> {
  const answer = { rows: (rows ?? []) as Row[] }
  if (!['INSERT', 'UPDATE', 'DELETE', 'MERGE'].includes(command)) return answer
  return { ...answer, numAffectedRows: BigInt(defined(rowCount ?? undefined, 'row count of a write')) }
}
