import {
  AbortedTransactionError,
  CompiledQuery,
  type DatabaseConnection,
  type KyselyPlugin,
  PostgresDialect,
  type PostgresDialectConfig,
  PostgresDriver,
  type QueryResult,
  type RootOperationNode,
  type Transaction,
  type TransactionSettings,
} from 'kysely'
import type { Tables } from '../tables.ts'

/**
 * The same transaction, for its last statement: COMMIT is sent in the same write, before the statement is answered. If
 * the statement fails, PostgreSQL answers that COMMIT with a rollback.
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

function isLast({ query }: { query: RootOperationNode & { [LAST]?: true } }): boolean {
  return query[LAST] === true
}

/**
 * Kysely's dialect of PostgreSQL with fewer round trips. BEGIN is sent together with the transaction's first statement,
 * COMMIT together with the statement that `lastStatement` marks. A transaction of one marked statement takes one trip.
 *
 * The sessions have to send a query while earlier ones are unanswered (`pipeline` of pg).
 */
export class OneTripDialect extends PostgresDialect {
  readonly #config: PostgresDialectConfig

  constructor(config: PostgresDialectConfig) {
    super(config)
    this.#config = config
  }

  override createDriver(): OneTripDriver {
    return new OneTripDriver(this.#config)
  }
}

/** Kysely exports no name for the connections of its driver. */
type Session = Parameters<PostgresDriver['releaseConnection']>[0]

class OneTripDriver extends PostgresDriver {
  override async acquireConnection(): Promise<OneTripConnection> {
    return new OneTripConnection((await super.acquireConnection()) as Session)
  }

  override async releaseConnection(connection: DatabaseConnection): Promise<void> {
    await super.releaseConnection((connection as OneTripConnection).session)
  }

  override async beginTransaction(connection: OneTripConnection, settings: TransactionSettings): Promise<void> {
    connection.begin(settings)
  }

  /** @throws AbortedTransactionError if an earlier statement failed: PostgreSQL then answers COMMIT with a rollback */
  override async commitTransaction(connection: OneTripConnection): Promise<void> {
    const { heldBegin, beginError, sentCommit } = connection.end()
    if (heldBegin) return
    if (beginError) throw beginError
    if (!sentCommit) await super.commitTransaction(connection.session)
    else if (commandOf(await sentCommit) === 'ROLLBACK') throw new AbortedTransactionError()
  }

  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    const oneTrip = connection as OneTripConnection
    const { heldBegin, beginError, sentCommit } = oneTrip.end()
    if (heldBegin) return
    const command = commandOf(await sentCommit?.catch(() => undefined))
    if (command === 'COMMIT' && !beginError)
      throw new Error('bug: an error after the last statement of a transaction, which has committed')
    if (command) return
    // If ROLLBACK fails, the session is closed, and PostgreSQL rolls back. The caller gets the error that led to ROLLBACK.
    await super.rollbackTransaction(oneTrip.session).catch(() => {})
  }
}

type CommitAnswer = QueryResult<{ command?: string }>

function commandOf(answer: CommitAnswer | undefined): string | undefined {
  return answer?.rows[0]?.command
}

/** The part of a transaction that is held back, and the part that was sent early. */
interface OpenTransaction {
  /** BEGIN, until the first statement. */
  heldBegin?: CompiledQuery | undefined
  beginError?: unknown
  /** The answer to the COMMIT that was sent with the last statement. */
  sentCommit?: Promise<CommitAnswer>
}

/** A session for as long as it is taken from the pool. */
class OneTripConnection implements DatabaseConnection {
  readonly session: Session
  #transaction: OpenTransaction = {}

  constructor(session: Session) {
    this.session = session
  }

  begin({ isolationLevel, accessMode }: TransactionSettings): void {
    const modes = [isolationLevel && `isolation level ${isolationLevel}`, accessMode]
    this.#transaction = { heldBegin: CompiledQuery.raw(['begin', ...modes.filter(Boolean)].join(' ')) }
  }

  end(): OpenTransaction {
    const ended = this.#transaction
    this.#transaction = {}
    return ended
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const transaction = this.#transaction
    if (transaction.beginError) throw transaction.beginError
    if (transaction.sentCommit) throw new Error('bug: a statement after the last one of its transaction')
    const begun = transaction.heldBegin && this.#send(transaction.heldBegin)
    transaction.heldBegin = undefined
    const answer = this.#send<Row>(query)
    if (isLast(query)) transaction.sentCommit = this.#send(CompiledQuery.raw('commit'))
    try {
      await begun
    } catch (error) {
      // PostgreSQL has executed this statement in a transaction of its own. Later statements must not do the same.
      transaction.beginError = error
      throw error
    }
    return await answer
  }

  /** Adds a handler for the error at once, because the caller awaits the answers to earlier queries first. */
  #send<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const answer = this.session.executeQuery<Row>(query)
    answer.catch(() => {})
    return answer
  }

  streamQuery<Row>(query: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<Row>> {
    return this.session.streamQuery(query, chunkSize)
  }
}
