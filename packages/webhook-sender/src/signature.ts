import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { VERSION } from '@cashflow/runtime'

const PREFIX = 'whsec_'
const SECRET_BYTES = 32

/** True for a secret of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64. */
export function isWebhookSecret(text: string): boolean {
  const encoded = text.slice(PREFIX.length)
  const bytes = Buffer.from(encoded, 'base64')
  return text.startsWith(PREFIX) && bytes.toString('base64') === encoded && bytes.length >= 24 && bytes.length <= 64
}

interface Signed {
  /** The event's id, the same for each attempt. */
  readonly id: string
  readonly body: Buffer | string
  /** One, or two while an endpoint's secret rotates. */
  readonly secrets: readonly string[]
}

/** Makes a secret of 256 bits: `whsec_` and base64, as Standard Webhooks has it. */
export function newSecret(random: (bytes: number) => Buffer = randomBytes): string {
  return `${PREFIX}${random(SECRET_BYTES).toString('base64')}`
}

/**
 * Signs a webhook by Standard Webhooks 1.0.0, once with each secret: HMAC-SHA256 of `<id>.<timestampS>.<body>`.
 *
 * @param signed `timestampS` is the time of the attempt, in whole seconds
 * @returns the header `webhook-signature`, such as `v1,K5oZ… v1,9fXb…`
 */
export function signatures({ id, timestampS, body, secrets }: Signed & { readonly timestampS: number }): string {
  return secrets
    .map((secret) => createHmac('sha256', keyOf(secret)).update(`${id}.${timestampS}.`).update(body).digest('base64'))
    .map((signature) => `v1,${signature}`)
    .join(' ')
}

/** All headers of an attempt. `now` is its time. */
export function webhookHeaders({ now, ...signed }: Signed & { readonly now: Date }): Record<string, string> {
  const timestampS = Math.floor(now.getTime() / 1000)
  return {
    'content-type': 'application/json',
    'user-agent': `Cashflow-Webhooks/${VERSION}`,
    'webhook-id': signed.id,
    'webhook-timestamp': String(timestampS),
    'webhook-signature': signatures({ ...signed, timestampS }),
  }
}

/** Of the last secrets that signed. Node takes five times as long for a signature with a key that is a buffer. */
const keys = new Map<string, KeyObject>()
const KEYS_MAX = 1_000

function keyOf(secret: string): KeyObject {
  const known = keys.get(secret)
  if (known) return known
  if (!secret.startsWith(PREFIX)) throw new Error(`bug: a webhook's secret does not begin with ${PREFIX}`)
  const key = createSecretKey(secret.slice(PREFIX.length), 'base64')
  const [oldest] = keys.keys()
  if (oldest !== undefined && keys.size >= KEYS_MAX) keys.delete(oldest)
  keys.set(secret, key)
  return key
}
