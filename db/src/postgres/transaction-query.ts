import pg from 'pg'

/** The parts of a transaction that are sent together with one of its statements. */
export interface TransactionBounds {
  /** BEGIN with its modes, sent before the statement. */
  readonly begin?: string | undefined
  /** True to send COMMIT after the statement. */
  readonly commit: boolean
}

/** Members of pg's connection that its types leave out. */
interface Connection extends pg.Connection {
  parse(statement: { text: string }): void
  bind(portal: object): void
  execute(portal: object): void
  sync(): void
  readonly submittedNamedStatements: Record<string, string>
}

/** Members of pg's query that its types leave out. pg calls them, the last two when an answer arrives. */
interface Query extends pg.Query {
  /** The name of the prepared statement. */
  name: string
  requiresPreparation(): boolean
  prepare(connection: Connection): void
  _getRows(connection: Connection): void
  handleCommandComplete(message: { text: string }, connection: Connection): void
  handleError(error: Error, connection: Connection): void
}

const PgQuery = pg.Query as unknown as new (statement: pg.QueryConfig) => Query

/**
 * A statement that pg sends together with BEGIN, COMMIT or both, in one write and with one Sync. After an error the server
 * skips everything up to the Sync: no statement is executed without its BEGIN, and no COMMIT after a statement that failed
 * (PostgreSQL, Frontend/Backend Protocol, Pipelining). And it sends the answers together, so the client reads once.
 */
export class TransactionQuery extends PgQuery {
  readonly #bounds: TransactionBounds
  readonly #unanswered: ('begin' | 'statement' | 'commit')[]
  #name = ''
  /** PostgreSQL's answer to COMMIT. */
  commitAnswer: string | undefined

  constructor(statement: pg.QueryConfig, bounds: TransactionBounds) {
    super(statement)
    this.#bounds = bounds
    this.#unanswered = [
      ...(bounds.begin ? (['begin'] as const) : []),
      'statement',
      ...(bounds.commit ? (['commit'] as const) : []),
    ]
  }

  override requiresPreparation(): boolean {
    return true
  }

  override prepare(connection: Connection): void {
    const { begin } = this.#bounds
    if (begin) send(connection, begin)
    super.prepare(connection)
    if (!begin) return
    // At the next ParseComplete pg would note that the statement of this name is prepared. The first one is BEGIN's.
    this.#name = this.name
    this.name = ''
  }

  override _getRows(connection: Connection): void {
    connection.execute({})
    if (this.#bounds.commit) send(connection, 'commit')
    connection.sync()
  }

  override handleCommandComplete(message: { text: string }, connection: Connection): void {
    const part = this.#unanswered.shift()
    if (part === 'statement') super.handleCommandComplete(message, connection)
    else if (part === 'commit') this.commitAnswer = message.text
    else this.name = this.#name
  }

  override handleError(error: Error, connection: Connection): void {
    if (this.#unanswered[0] === 'begin') delete connection.submittedNamedStatements[this.#name]
    super.handleError(error, connection)
  }
}

function send(connection: Connection, text: string): void {
  connection.parse({ text })
  connection.bind({})
  connection.execute({})
}
