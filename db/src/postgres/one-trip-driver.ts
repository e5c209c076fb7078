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
 * The same transaction, for its last statement: COMMIT is sent in the same write, before the statement is answered. If
 * the statement fails, PostgreSQL skips that COMMIT.
 *
 * An error that the caller throws after this statement rolls nothing back. The limit for COMMIT's answer, `query_timeout`,
 * begins with the statement.
 */
export function lastStatement(tx: Transaction<Tables>): Transaction<Tables> {
  return tx.withPlugin(MARK_AS_LAST)
}

const LAST = Symbol('last statement')

const MARK_AS_LAST: KyselyPlugin = {
  transformQuery: ({ node }) => Object.freeze({ ...node, [LAST]: true }),
  transformResult: async ({ result }) => result,
}

/**
 * Kysely's dialect of PostgreSQL with fewer round trips. BEGIN is sent together with the transaction's first statement,
 * COMMIT together with the statement that `lastStatement` marks. A transaction of one marked statement takes one trip.
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
    if (!this.#pool) throw new Error('the database is closed')
    return new OneTripConnection((await this.#pool.connect()) as unknown as PooledSession)
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

interface OpenTransaction {
  /** BEGIN, until the first statement. */
  heldBegin?: string | undefined
  /** The error of the trip with BEGIN. PostgreSQL may be in no transaction, so nothing else of this one may be sent. */
  beginError?: unknown
  isCommitted?: boolean
}

/** A session for as long as it is taken from the pool. */
class OneTripConnection implements DatabaseConnection {
  readonly #session: PooledSession
  #transaction: OpenTransaction = {}
  #isBroken = false

  constructor(session: PooledSession) {
    this.#session = session
  }

  begin({ isolationLevel, accessMode }: TransactionSettings): void {
    const modes = [isolationLevel && `isolation level ${isolationLevel}`, accessMode]
    this.#transaction = { heldBegin: ['begin', ...modes.filter(Boolean)].join(' ') }
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const transaction = this.#transaction
    if (transaction.beginError) throw transaction.beginError
    if (transaction.isCommitted) throw new Error('bug: a statement after the last one of its transaction')
    const begin = transaction.heldBegin
    transaction.heldBegin = undefined
    try {
      return resultOf(await this.#send(query, begin))
    } catch (error) {
      if (begin) transaction.beginError = error
      // The stack of an answer leads to the socket. This one leads to the caller.
      if (error instanceof Error) Error.captureStackTrace(error)
      throw error
    }
  }

  async #send(query: CompiledQuery, begin: string | undefined): Promise<pg.QueryResult> {
    const { sql, parameters } = query
    const commit = isLast(query)
    if ((begin || commit) && isOneStatement(query)) {
      const result = await this.#session.transact(sql, parameters, { begin, commit })
      this.#transaction.isCommitted = commit
      return result
    }
    if (begin) await this.#session.query(begin)
    return await this.#session.query(sql, parameters)
  }

  /** @throws AbortedTransactionError if an earlier statement failed: PostgreSQL then answers COMMIT with a rollback */
  async commit(): Promise<void> {
    const { heldBegin, beginError, isCommitted } = this.#end()
    if (heldBegin || isCommitted) return
    if (beginError) throw beginError
    const { command } = await this.#session.query('commit')
    if (command === 'ROLLBACK') throw new AbortedTransactionError()
  }

  async rollBack(): Promise<void> {
    const { heldBegin, isCommitted } = this.#end()
    if (heldBegin) return
    if (isCommitted) throw new Error('bug: an error after the last statement of a transaction, which has committed')
    // If ROLLBACK fails, the session is closed, and PostgreSQL rolls back. The caller gets the error that led to ROLLBACK.
    await this.#session.query('rollback').catch(() => {
      this.#isBroken = true
    })
  }

  #end(): OpenTransaction {
    const ended = this.#transaction
    this.#transaction = {}
    return ended
  }

  release(): void {
    this.#session.release(this.#isBroken)
  }

  // biome-ignore lint/correctness/useYield: Kysely asks for it, and nothing here streams.
  async *streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new Error('bug: queries are not streamed')
  }
}

function isLast({ query }: { query: RootOperationNode & { [LAST]?: true } }): boolean {
  return query[LAST] === true
}

/** False for SQL text that may be several statements, which PostgreSQL takes only in a message of their own. */
function isOneStatement({ query, parameters }: CompiledQuery): boolean {
  return query.kind !== 'RawNode' || parameters.length > 0
}

function resultOf<Row>({ command, rowCount, rows }: pg.QueryResult): QueryResult<Row> {
  const isWrite = ['INSERT', 'UPDATE', 'DELETE', 'MERGE'].includes(command)
  return { rows: (rows ?? []) as Row[], ...(isWrite && { numAffectedRows: BigInt(rowCount ?? 0) }) }
}
