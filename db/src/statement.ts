import {
  type AliasedExpression,
  type Compilable,
  type CompiledQuery,
  createQueryId,
  type Expression,
  type Kysely,
  type RawBuilder,
  type SelectQueryBuilder,
  type SqlBool,
  sql,
} from 'kysely'
import type { Tables } from './tables.ts'

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
 * A statement that Kysely builds and compiles at its first execution only. To do so for each batch would cost Node some
 * 70 µs in a warm loop, and 250 µs between the answers of a database: half as much again as all else of a batch of 16.
 *
 * @param build makes the statement, the same for all values
 */
export function compiledOnce<Db extends Kysely<Tables>, Values, Row>(
  build: (db: Db, parameter: ParameterOf<Values>) => Compilable<Row>,
): (db: Db, values: Values) => Promise<Row[]> {
  let compiled: CompiledQuery<Row> | undefined
  return async (db, values) => {
    // Without plugins: `lastStatement` marks one execution, not the statement.
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

/** The SQL types of columns, as Kysely reads them. */
interface ColumnTypes {
  uuid: string
  'uuid[]': string[]
  text: string
  int: number
  bigint: string
  jsonb: unknown
  timestamptz: Date
}

type RowOf<Types extends Readonly<Record<string, keyof ColumnTypes>>> = {
  [Column in keyof Types]: ColumnTypes[Types[Column]]
}

/** Rows in one parameter, as a source of a statement. */
export interface RecordSet<Alias extends string, Row> {
  /** The names of the columns, for both `columns` and `select`: Kysely checks names, but not that both have one order. */
  readonly columns: readonly (keyof Row & string)[]
  /** The value of the parameter. */
  json(rows: readonly { [Column in keyof Row]: Row[Column] | null | undefined }[]): string
  /** The source, for `selectFrom`. */
  from(json: Expression<string>): AliasedExpression<Row, Alias>
}

/**
 * Describes rows that a statement gets as JSON. With a parameter for each value the statement's text would depend on the
 * number of rows, so a session would parse and plan it for each number. And Kysely and pg spend time on each parameter.
 *
 * @param types the SQL type of each column
 */
export function recordSet<const Alias extends string, const Types extends Readonly<Record<string, keyof ColumnTypes>>>(
  alias: Alias,
  types: Types,
): RecordSet<Alias, RowOf<Types>> {
  const definition = Object.entries(types).map(([column, type]) => `${column} ${type}`)
  return {
    columns: Object.keys(types),
    json: (rows) => JSON.stringify(rows),
    from: (json) =>
      sql<RowOf<Types>>`jsonb_to_recordset(${json}::jsonb)`.as<Alias>(sql.raw(`${alias} (${definition.join(', ')})`)),
  }
}

/**
 * `value in (rows)`, answered from a hash table. PostgreSQL makes a semi-join of the bare condition. Hash joins are off
 * (session-settings.ts), so that would be a nested loop, with 5,000 comparisons for a batch of 100. Of `(…) is true` it makes
 * no join, but a hashed subplan.
 */
export function isAmong<Value>(
  value: Expression<Value>,
  rows: SelectQueryBuilder<never, never, Record<string, Value>>,
): Expression<SqlBool> {
  return sql<SqlBool>`(${value} in ${rows}) is true`
}
