import pg from 'pg'

/** Members of pg's connection that its types leave out. */
interface Connection extends pg.Connection {
  parse(statement: { text: string }): void
  bind(portal: object): void
  execute(portal: object): void
  readonly submittedNamedStatements: Record<string, string>
}

/** Members of pg's query that its types leave out. pg calls them, the last two when an answer arrives. */
interface Query extends pg.Query {
  /** The name of the prepared statement. */
  name: string
  requiresPreparation(): boolean
  prepare(connection: Connection): void
  handleCommandComplete(message: { text: string }, connection: Connection): void
  handleError(error: Error, connection: Connection): void
}

const PgQuery = pg.Query as unknown as new (statement: pg.QueryConfig) => Query

/**
 * A statement that pg sends together with its transaction's BEGIN, in one write and with one Sync. If BEGIN fails, the server
 * skips everything up to the Sync (PostgreSQL, Frontend/Backend Protocol, Pipelining): no statement is executed without its
 * BEGIN. It sends both answers together, so the client reads once.
 */
export class BeginQuery extends PgQuery {
  readonly #begin: string
  #name = ''
  #hasBegun = false

  /** @param begin BEGIN with its modes */
  constructor(begin: string, statement: pg.QueryConfig) {
    super(statement)
    this.#begin = begin
  }

  override requiresPreparation(): boolean {
    return true
  }

  override prepare(connection: Connection): void {
    connection.parse({ text: this.#begin })
    connection.bind({})
    connection.execute({})
    super.prepare(connection)
    // At the next ParseComplete pg would note that the statement of this name is prepared. The first one is BEGIN's.
    this.#name = this.name
    this.name = ''
  }

  override handleCommandComplete(message: { text: string }, connection: Connection): void {
    if (this.#hasBegun) super.handleCommandComplete(message, connection)
    this.#hasBegun = true
    this.name = this.#name
  }

  override handleError(error: Error, connection: Connection): void {
    if (!this.#hasBegun) delete connection.submittedNamedStatements[this.#name]
    super.handleError(error, connection)
  }
}
