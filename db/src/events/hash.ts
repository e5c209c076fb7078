import { hash } from 'node:crypto'

/** The facts of an event that its hash covers. */
export interface HashedEvent {
  readonly paymentId: string
  readonly merchantId: string
  readonly sequence: number
  readonly type: string
  readonly data: Readonly<Record<string, unknown>>
  readonly actor: string
  readonly requestId: string | null | undefined
  readonly createdAt: Date
}

/**
 * Returns the hash of an event: 32 bytes, SHA-256 over the hash of the payment's event before, and the canonical JSON
 * (RFC 8785) of the array of its facts. The event before is the one with the next lower id. The first event has none.
 *
 * `createdAt` counts in whole milliseconds. A stored time may have microseconds, which pg cuts off when it reads the column.
 */
export function eventHash(previous: Buffer | undefined, event: HashedEvent): Buffer {
  const { paymentId, merchantId, sequence, type, data, actor, requestId = null, createdAt } = event
  const before = `${JSON.stringify(paymentId)},${JSON.stringify(merchantId)},${sequence},${JSON.stringify(type)}`
  const after = `${JSON.stringify(actor)},${JSON.stringify(requestId)},"${createdAt.toISOString()}"`
  const facts = `[${before},${canonicalJson(data)},${after}]`
  // As hexadecimal text: for each hash that is returned as a buffer, Node makes one outside of its heap.
  return Buffer.from(hash('sha256', previous ? Buffer.concat([previous, Buffer.from(facts)]) : facts, 'hex'), 'hex')
}

/** JSON of RFC 8785: members sorted by the UTF-16 code units of their names, numbers and strings as ECMAScript writes them. */
function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  // Not by a sorted object: there, names that are integers come first, in the order of the numbers.
  const names = Object.keys(value).sort()
  const members = value as Readonly<Record<string, unknown>>
  const given = names.filter((name) => members[name] !== undefined)
  return `{${given.map((name) => `${JSON.stringify(name)}:${canonicalJson(members[name])}`).join()}}`
}
