import { type AliasedExpression, type Expression, type SelectQueryBuilder, type SqlBool, sql } from 'kysely'

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

export type RowOf<Types extends Readonly<Record<string, keyof ColumnTypes>>> = {
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
 * As `sql`: the builder has no record sets.
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
 * no join, but a hashed subplan. As `sql`: the builder's types cannot compare values of a type parameter.
 */
export function isAmong<Value>(
  value: Expression<Value>,
  rows: SelectQueryBuilder<never, never, Record<string, Value>>,
): Expression<SqlBool> {
  return sql<SqlBool>`(${value} in ${rows}) is true`
}
