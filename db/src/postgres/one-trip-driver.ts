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
import type { TransactionBounds } from './transaction-query.ts'

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
  /** BEGIN, until the first statement. */
  readonly heldBegin?: string
  /**
   * Why no statement may be sent. After the error of a trip with BEGIN or COMMIT, PostgreSQL may be in no transaction: it
   * would execute a statement on its own.
   */
  readonly refusal?: unknown
  readonly isCommitted?: boolean
}

const ENDED: TransactionState = { refusal: 'a statement after the end of its transaction' }
const COMMITTED: TransactionState = { ...ENDED, isCommitted: true }

/** A session for as long as it is taken from the pool. */
class OneTripConnection implements DatabaseConnection {
  readonly #session: PooledSession
  #transaction: TransactionState = {}
  #isBroken = false

  constructor(session: PooledSession) {
    this.#session = session
  }

  begin({ isolationLevel, accessMode }: TransactionSettings): void {
    const modes = [isolationLevel && `isolation level ${isolationLevel}`, accessMode]
    this.#transaction = { heldBegin: ['begin', ...modes.filter(Boolean)].join(' ') }
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const { heldBegin: begin, refusal } = this.#transaction
    if (refusal) throw asError(refusal)
    const commit = isLast(query)
    if (begin) this.#transaction = {}
    try {
      const result = await this.#send(query, { begin, commit })
      if (commit) this.#transaction = COMMITTED
      return resultOf(result)
    } catch (error) {
      if (begin || commit) this.#transaction = { refusal: error }
      throw error
    }
  }

  async #send(query: CompiledQuery, bounds: TransactionBounds): Promise<pg.QueryResult> {
    const { begin, commit } = bounds
    const { sql, parameters } = query
    if (!begin && !commit) return await this.#session.query(sql, parameters)
    if (isOneStatement(query)) return await this.#session.transact(sql, parameters, bounds)
    if (begin) await this.#session.query(begin)
    const result = await this.#session.query(sql, parameters)
    if (commit) await this.#commit()
    return result
  }

  /** @throws AbortedTransactionError if an earlier statement failed: PostgreSQL then answers COMMIT with a rollback */
  async #commit(): Promise<void> {
    const { command } = await this.#session.query('commit')
    if (command === 'ROLLBACK') throw new AbortedTransactionError()
  }

  async commit(): Promise<void> {
    const { heldBegin, refusal, isCommitted } = this.#transaction
    if (!heldBegin && !isCommitted) {
      if (refusal) throw asError(refusal)
      this.#transaction = ENDED
      await this.#commit()
    }
    this.#transaction = {}
  }

  async rollBack(): Promise<void> {
    const { heldBegin, isCommitted } = this.#transaction
    this.#transaction = ENDED
    // If ROLLBACK fails, the session is closed, and PostgreSQL rolls back. The caller gets the error that led to ROLLBACK.
    if (!heldBegin && !isCommitted)
      await this.#session.query('rollback').catch(() => {
        this.#isBroken = true
      })
    this.#transaction = {}
    if (isCommitted) throw new Error('bug: an error after the last statement of a transaction, which has committed')
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

function asError(refusal: unknown): unknown {
  return typeof refusal === 'string' ? new Error(`bug: ${refusal}`) : refusal
}

function isLast({ query }: { query: RootOperationNode & { [LAST]?: true } }): boolean {
  return query[LAST] === true
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
