// biome-ignore lint/correctness/noNodejsModules: Web Crypto has only promises, and a forgotten `await` would accept a forgery.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { readWebhookEvent, type WebhookEvent } from './webhook-event.ts'
import { WebhookVerificationError } from './webhook-refusal.ts'

const TOLERANCE_S = 300
/** About 80 signatures. Two secrets make two of them. */
const SIGNATURES_CHARACTERS_MAX = 4_096
const SECRET = /^whsec_([A-Za-z0-9+/]+={0,2})$/
const SECRET_BYTES_MIN = 24
const SECRET_BYTES_MAX = 64
/** Whole seconds since 1970. */
const TIMESTAMP = /^\d{1,12}$/

/** Headers of a request: an object with names in any case, such as those of Node or of AWS Lambda, or those of `fetch`. */
export type WebhookHeaders =
  | Readonly<Record<string, string | readonly string[] | undefined>>
  | { get(name: string): string | null }

export interface VerifyOptions {
  /** Maximum age of an attempt, and how far your clock may be behind, in seconds. Default: 300. */
  toleranceS?: number | undefined
  /** Default: the time of the call. */
  now?: Date | undefined
}

/**
 * Verifies a webhook, and returns its event. One signature of the version `v1` by one of the secrets is enough, so both
 * secrets of a rotation may be given. Signatures are compared in constant time, before anything else of the request counts.
 *
 * @param body the bytes as they arrived, or the text that they are in UTF-8
 * @param secrets `whsec_…` of the endpoint: one, or several while they rotate
 * @throws WebhookVerificationError for a request that is not to be handled
 * @throws TypeError for a mistake in the arguments, such as a body that was parsed before, or a secret of another form
 */
export function verifyWebhook(
  body: Uint8Array | string,
  headers: WebhookHeaders,
  secrets: string | readonly string[],
  { toleranceS = TOLERANCE_S, now = new Date() }: VerifyOptions = {},
): WebhookEvent {
  const keys = readSecrets(secrets)
  // NaN would be larger than no age.
  if (typeof toleranceS !== 'number' || !(toleranceS >= 0))
    throw new TypeError('toleranceS is a number of seconds, 0 or more')
  if (Number.isNaN(now.getTime())) throw new RangeError('now is an invalid Date')
  if (typeof body !== 'string' && !(body instanceof Uint8Array))
    throw new TypeError(
      'The body was parsed before. Verify the bytes as they arrived: JSON that is written again differs.',
    )
  const id = headerOf(headers, 'webhook-id')
  const timestamp = headerOf(headers, 'webhook-timestamp')
  const signatures = headerOf(headers, 'webhook-signature')
  if (!isSigned(keys, { id, timestamp, body, signatures }))
    throw new WebhookVerificationError('forged', 'No signature of the webhook is one of the secrets.')
  if (!TIMESTAMP.test(timestamp))
    throw new WebhookVerificationError('bad-timestamp', 'The timestamp of the webhook is not in whole seconds.')
  const ageS = Math.floor(now.getTime() / 1_000) - Number(timestamp)
  if (Math.abs(ageS) > toleranceS)
    throw new WebhookVerificationError(
      'stale',
      `The webhook was signed ${Math.abs(ageS)} s ${ageS > 0 ? 'ago' : 'ahead'}.`,
    )
  try {
    return readWebhookEvent(
      id,
      typeof body === 'string' ? body : new TextDecoder('utf-8', { fatal: true }).decode(body),
    )
  } catch (cause) {
    throw new WebhookVerificationError('bad-body', 'The body of the webhook is signed, and is no event.', cause)
  }
}

/**
 * Reads secrets, so that a wrong one is found when a program starts.
 *
 * @throws TypeError for a secret of another form, without showing it
 */
export function readSecrets(secrets: string | readonly string[]): Uint8Array[] {
  const keys = (Array.isArray(secrets) ? secrets : [secrets]).map(keyOf)
  // An empty list would refuse every webhook.
  if (keys.length === 0) throw new TypeError('No secret of the webhook endpoint is given.')
  return keys
}

function keyOf(secret: unknown): Uint8Array {
  const [, base64] = (typeof secret === 'string' && SECRET.exec(secret)) || []
  const key = base64 === undefined ? undefined : bytesOf(base64)
  if (!key || key.length < SECRET_BYTES_MIN || key.length > SECRET_BYTES_MAX)
    throw new TypeError('A secret of a webhook endpoint is whsec_ and the base64 of 24 to 64 bytes. This one is not.')
  return key
}

function bytesOf(base64: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))
  } catch {
    return undefined
  }
}

function headerOf(headers: WebhookHeaders, name: string): string {
  const value = isFetchHeaders(headers) ? headers.get(name) : (headers[name] ?? headers[nameIn(headers, name)])
  // Node joins repeated headers of this kind with a comma, too.
  const text = typeof value === 'object' && value !== null ? value.join(', ') : value
  if (!text) throw new WebhookVerificationError('missing-header', `The request has no header ${name}.`)
  return text
}

/** Gateways such as that of AWS keep the case in which a name was sent. */
function nameIn(headers: object, name: string): string {
  return Object.keys(headers).find((other) => other.toLowerCase() === name) ?? name
}

function isFetchHeaders(headers: WebhookHeaders): headers is { get(name: string): string | null } {
  return typeof headers.get === 'function'
}

interface Signed {
  readonly id: string
  readonly timestamp: string
  readonly body: Uint8Array | string
  readonly signatures: string
}

function isSigned(keys: readonly Uint8Array[], { id, timestamp, body, signatures }: Signed): boolean {
  if (signatures.length > SIGNATURES_CHARACTERS_MAX) return false
  const encoder = new TextEncoder()
  const given = signatures.split(' ').map((signature) => encoder.encode(signature))
  return keys.some((key) => {
    const digest = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest('base64')
    // Other versions, other lengths and other forms of base64 are other text. They need no rules of their own.
    const expected = encoder.encode(`v1,${digest}`)
    return given.some((signature) => signature.length === expected.length && timingSafeEqual(signature, expected))
  })
}
