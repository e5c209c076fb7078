import {
  type Compilable,
  type CompiledQuery,
  createQueryId,
  type QueryExecutorProvider,
  type RawBuilder,
  sql,
} from 'kysely'

/** A value that a statement gets when it is executed. */
class Parameter {
  readonly name: PropertyKey

  constructor(name: PropertyKey) {
    this.name = name
  }
}

/** The place of a parameter in a statement. */
export type ParameterOf<Values> = <Name extends keyof Values>(name: Name) => RawBuilder<Values[Name]>

/**
 * A statement that Kysely builds and compiles at its first execution only. For each batch this would cost Node about
 * 70 µs in a warm loop, and 250 µs between the answers of a database. That is half of what a batch of 16 costs otherwise.
 *
 * @param build makes the statement, the same for all values
 */
export function compiledOnce<Db extends QueryExecutorProvider & { withoutPlugins(): unknown }, Values, Row>(
  build: (db: Db, parameter: ParameterOf<Values>) => Compilable<Row>,
): (db: Db, values: Values) => Promise<Row[]> {
  let compiled: CompiledQuery<Row> | undefined
  return async (db, values) => {
    // Without plugins: the plugins of a `db` may concern one execution, not the statement.
    compiled ??= build(db.withoutPlugins() as Db, (name) => sql`${sql.val(new Parameter(name))}`).compile()
    const executor = db.getExecutor()
    const queryId = createQueryId()
    const query = executor.transformQuery(compiled.query, queryId)
    const parameters = compiled.parameters.map((value) =>
      value instanceof Parameter ? values[value.name as keyof Values] : value,
    )
    const { rows } = await executor.executeQuery<Row>({ ...compiled, query, queryId, parameters })
    return rows
  }
}
