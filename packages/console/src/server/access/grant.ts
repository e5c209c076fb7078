import { createHmac, timingSafeEqual } from 'node:crypto'
import * as z from 'zod'
import type { Keys } from './keys.ts'

const fields = z.object({
  id: z.uuid(),
  name: z.string().min(1),
  role: z.enum(['read', 'operate']),
  /** End, in milliseconds since 1970. */
  end: z.number(),
})

/** What a login token or a cookie says: which operator it is for, what the operator may do, and until when. */
export interface Grant extends Omit<z.output<typeof fields>, 'end'> {
  readonly expiresAt: Date
}

/** Text that no signed grant is longer than. A name has at most 255 characters. */
const LENGTH_MAX = 4_096

/** Returns the grant as text: base64url of its JSON, a dot, and an HMAC-SHA-256. It can be read, but not changed. */
export function sealGrant({ id, name, role, expiresAt }: Grant, [key]: Keys): string {
  const text = Buffer.from(JSON.stringify({ id, name, role, end: expiresAt.getTime() })).toString('base64url')
  return `${text}.${macOf(text, key)}`
}

/** @returns undefined unless the text was sealed with one of the keys, and has not expired */
export function openGrant(sealed: string, keys: Keys, now: number): Grant | undefined {
  if (sealed.length > LENGTH_MAX) return undefined
  const [text = '', mac = ''] = sealed.split('.', 2)
  if (sealed !== `${text}.${mac}` || !keys.some((key) => isEqual(mac, macOf(text, key)))) return undefined
  // Another version may have sealed other fields.
  const { data } = fields.safeParse(JSON.parse(Buffer.from(text, 'base64url').toString()))
  if (!data || data.end <= now) return undefined
  const { end, ...grant } = data
  return { ...grant, expiresAt: new Date(end) }
}

function macOf(text: string, key: Buffer): string {
  return createHmac('sha256', key).update(text).digest('base64url')
}

/** Takes the same time wherever the texts differ. */
function isEqual(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}
