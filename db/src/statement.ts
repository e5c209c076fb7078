import {
  type Compilable,
  type Expression,
  type QueryExecutorProvider,
  type RawBuilder,
  type SelectQueryBuilder,
  type SqlBool,
  sql,
} from 'kysely'

/** The SQL types of columns, as Kysely reads them. */
interface ColumnTypes {
  uuid: string
  'uuid[]': string[]
  text: string
  int: number
  bigint: string
  jsonb: unknown
  timestamptz: Date
  bytea: Buffer
}

/** A column's value in the JSON: bytes are text there, see `byteaText`. */
type JsonOf<Type extends keyof ColumnTypes> = Type extends 'bytea' ? string : ColumnTypes[Type]

export type RowOf<Types extends Readonly<Record<string, keyof ColumnTypes>>> = {
  [Column in keyof Types]: ColumnTypes[Types[Column]]
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
) {
  type Row = RowOf<Types>
  const definition = Object.entries(types).map(([column, type]) => `${column} ${type}`)
  return {
    /** The value of the parameter. */
    json: (rows: readonly { [Column in keyof Types]: JsonOf<Types[Column]> | null | undefined }[]) =>
      JSON.stringify(rows),
    /** The source, for `selectFrom`. */
    from: (json: Expression<string>) =>
      sql<Row>`jsonb_to_recordset(${json}::jsonb)`.as<Alias>(sql.raw(`${alias} (${definition.join(', ')})`)),
  }
}

/** Bytes as the text that PostgreSQL reads. */
export function byteaText(bytes: Buffer): string {
  return `\\x${bytes.toString('hex')}`
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

/** A statement that is written as `sql`, for `compiledOnce`. */
export function compilable<Row>(db: QueryExecutorProvider, statement: RawBuilder<unknown>): Compilable<Row> {
  return { compile: () => statement.$castTo<Row>().compile(db) }
}
