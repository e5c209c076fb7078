const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** True for a UUID of any version, in its usual form with hyphens. */
export function isUuid(text: string): boolean {
  return UUID.test(text)
}
