/**
 * Asserts a fact that the types cannot express, such as that an index is within bounds.
 *
 * @param what names the missing value, as in `bug: no outcome for message 3`
 * @throws Error `bug: no <what>`
 */
export function defined<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) throw new Error(`bug: no ${what}`)
  return value
}
