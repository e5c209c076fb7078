import { type AliasedExpression, type Expression, type SelectQueryBuilder, type SqlBool, sql } from 'kysely'

/** The SQL types of a record set's columns, as what Kysely reads them. */
interface ColumnTypes {
  uuid: string
  'uuid[]': string[]
  text: string
  int: number
  bigint: string
  jsonb: unknown
  timestamptz: Date
}

type RecordType = Readonly<Record<string, keyof ColumnTypes>>

type Row<Type extends RecordType> = { [Column in keyof Type]: ColumnTypes[Type[Column]] }

type Given<Type extends RecordType> = { [Column in keyof Type]: Row<Type>[Column] | null | undefined }

/** The names of the columns, in their order: for both `columns` and `select`, whose places Kysely does not compare. */
export function columnsOf<Type extends RecordType>(type: Type): (keyof Type & string)[] {
  return Object.keys(type)
}

/**
 * Rows as a source of a statement, in one parameter. A parameter for each value would cost Kysely and pg time for each.
 * And the text would depend on the number of rows, so that each session would prepare it again for each number.
 */
export function recordSet<Alias extends string, Type extends RecordType>(
  alias: Alias,
  type: Type,
  rows: readonly Given<Type>[],
): AliasedExpression<Row<Type>, Alias> {
  const columns = Object.entries(type).map(([name, sqlType]) => `${name} ${sqlType}`)
  return sql<Row<Type>>`json_to_recordset(${JSON.stringify(rows)}::json)`.as<Alias>(
    sql`${sql.ref(alias)} (${sql.raw(columns.join(', '))})`,
  )
}

/**
 * `value in (rows)`, with a look into a hash table for each value. As a bare condition it would become a semi-join. Hash
 * joins are off (session-settings.ts), so that is a nested loop: 5,000 comparisons for a batch of 100. PostgreSQL makes no
 * join of `… is true`.
 */
export function isAmong<Value>(
  value: Expression<Value>,
  rows: SelectQueryBuilder<never, never, Record<string, Value>>,
): Expression<SqlBool> {
  return sql<SqlBool>`(${value} in ${rows}) is true`
}
