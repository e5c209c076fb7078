type Value = string | null | Date | readonly string[]

/** Facts about one thing, by their names in snake_case. */
export type Fields = Readonly<Record<string, Value>>

/**
 * Formats facts as lines. For people: the facts of one thing one below the other, those of a list as a table.
 *
 * @param json one JSON object, or of a list one object a line
 */
export function linesOf(facts: Fields | readonly Fields[], { json }: { json: boolean }): string[] {
  const list = Array.isArray(facts) ? (facts as readonly Fields[]) : undefined
  if (json) return (list ?? [facts]).map((fields) => JSON.stringify(fields))
  if (!list) return aligned(Object.entries(facts as Fields).map(([name, value]) => [name, toText(value)]))
  const [first] = list
  if (!first) return []
  return aligned([Object.keys(first), ...list.map((fields) => Object.values(fields).map((value) => toText(value)))])
}

function toText(value: Value): string {
  if (value === null) return '-'
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'string' ? value : value.join(',')
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = []
  for (const row of rows)
    for (const [column, text] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, text.length)
  return rows.map((row) =>
    row
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
