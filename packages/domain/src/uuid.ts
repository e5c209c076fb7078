const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** Returns whether the text is a UUID of any version, in the form that PostgreSQL writes, in lower or upper case. */
export function isUuid(text: string): boolean {
  return UUID.test(text)
}
