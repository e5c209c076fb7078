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

type Row<Types> = {
  [Column in keyof Types]: Types[Column] extends keyof ColumnTypes ? ColumnTypes[Types[Column]] : never
}

export interface RecordSet<Alias extends string, Types> {
  /** The names of the columns, for both `columns` and `select`: Kysely checks names, but not that both have one order. */
  readonly columns: readonly (keyof Types & string)[]
  /** The source of a `select from`. */
  from(
    rows: readonly { [Column in keyof Types]: Row<Types>[Column] | null | undefined }[],
  ): AliasedExpression<Row<Types>, Alias>
}

/**
 * A set of rows that a statement gets as one parameter, JSON. With a parameter for each value the statement's text would
 * depend on the number of rows, so a session would parse and plan it for each number. And Kysely and pg would spend time
 * on each parameter.
 *
 * @param types the SQL type of each column
 */
export function recordSet<const Alias extends string, const Types extends Readonly<Record<string, keyof ColumnTypes>>>(
  alias: Alias,
  types: Types,
): RecordSet<Alias, Types> {
  const definition = Object.entries(types).map(([column, type]) => `${column} ${type}`)
  const as = sql.raw(`${alias} (${definition.join(', ')})`)
  return {
    columns: Object.keys(types),
    from: (rows) => sql<Row<Types>>`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)`.as<Alias>(as),
  }
}

/**
 * `value in (rows)`, answered from a hash table. As a bare condition it becomes a semi-join; hash joins are off
 * (session-settings.ts), so that is a nested loop, which makes 5,000 comparisons for a batch of 100. PostgreSQL makes no
 * join of `(…) is true`.
 */
export function isAmong<Value>(
  value: Expression<Value>,
  rows: SelectQueryBuilder<never, never, Record<string, Value>>,
): Expression<SqlBool> {
  return sql<SqlBool>`(${value} in ${rows}) is true`
}
