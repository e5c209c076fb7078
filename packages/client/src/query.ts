/** A query of these parameters, without those that are undefined. */
export function queryOf(query: Readonly<Record<string, string | number | Date | undefined>>): string {
  const given = new URLSearchParams()
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) given.set(name, value instanceof Date ? value.toISOString() : String(value))
  return given.size === 0 ? '' : `?${given}`
}
