import { createHash } from 'node:crypto'
import { signatures } from '../signature.ts'

/** One request, and whether a receiver with these secrets takes it at this time. */
export interface WebhookVector {
  readonly name: string
  readonly secrets: readonly string[]
  /** The receiver's clock, in seconds since 1970. */
  readonly now: number
  readonly tolerance_s: number
  /** Names are in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body_base64: string
  readonly accepted: boolean
  readonly why: string
}

const NOW_S = 1_800_000_000
const TOLERANCE_S = 300
const PAYMENT = '01a200e6-61da-7305-a53d-01a16fbc86b7'
const ID = `evt_${PAYMENT}_2`

const secretOf = (bytes: Buffer) => `whsec_${bytes.toString('base64')}`
const OWN = secretOf(createHash('sha256').update('own').digest())
const FORMER = secretOf(createHash('sha256').update('former').digest())
const FOREIGN = secretOf(createHash('sha256').update('foreign').digest())
const SHORTEST = secretOf(createHash('sha256').update('shortest').digest().subarray(0, 24))
const LONGEST = secretOf(createHash('sha512').update('longest').digest())

function bodyOf(reference: string): string {
  const data = {
    ...{ id: PAYMENT, amount: JSON.rawJSON('100.50'), amount_minor: 10050, currency: 'USD', reference },
    ...{
      status: 'SUCCESS',
      created_at: '2027-01-15T07:59:58.000Z',
      sequence: 2,
      previous_event_id: `evt_${PAYMENT}_1`,
    },
    ...{ request_id: null, api_version: 'v1' },
  }
  return JSON.stringify({ type: 'payment.succeeded', timestamp: '2027-01-15T07:59:59.000Z', data })
}

const BODY = bodyOf('ORDER-1')
const BODY_WITH_BLANKS = BODY.replaceAll('":', '" : ')

interface Request {
  readonly id?: string
  readonly timestamp?: string
  readonly body?: string | Buffer
  /** The secrets that the sender signs with. */
  readonly signedWith?: readonly string[]
  /** The secrets that the receiver knows. */
  readonly secrets?: readonly string[]
  /** What happens to the headers and the body on the way. */
  readonly changed?: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  readonly without?: string
  /** Makes the header with the signatures of the right ones. */
  readonly written?: (signatures: string) => string
}

function vectorOf(name: string, accepted: boolean, why: string, request: Request = {}): WebhookVector {
  const { id = ID, timestamp = String(NOW_S), body = BODY, signedWith = [OWN], secrets = [OWN] } = request
  const { changed, without, written = (right) => right } = request
  const headers = {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    // The sender's timestamps are numbers. Some here are not.
    'webhook-signature': written(
      signatures({ id, timestampS: timestamp as unknown as number, body, secrets: signedWith }),
    ),
    ...changed?.headers,
  }
  const kept = Object.entries(headers).filter(([header]) => header !== without)
  return {
    ...{ name, secrets, now: NOW_S, tolerance_s: TOLERANCE_S, headers: Object.fromEntries(kept) },
    ...{ body_base64: Buffer.from(changed?.body ?? body).toString('base64'), accepted, why },
  }
}

const ZEROS = 'A'.repeat(86)

function acceptedVectors(): WebhookVector[] {
  const take = (name: string, why: string, request?: Request) => vectorOf(name, true, why, request)
  return [
    take('valid', 'It is signed as it arrived.'),
    take('first of two secrets', 'Each of the secrets is enough.', { secrets: [OWN, FORMER] }),
    take('second of two secrets', 'Each of the secrets is enough.', { secrets: [FORMER, OWN] }),
    take('first of two signatures', 'A secret rotates, and the receiver knows the new one.', {
      signedWith: [OWN, FORMER],
    }),
    take('second of two signatures', 'A secret rotates, and the receiver knows the former one.', {
      signedWith: [FOREIGN, OWN],
    }),
    take('unknown version before it', 'Signatures of other versions are ignored.', {
      written: (right) => `v1a,${ZEROS}== ${right}`,
    }),
    take('unknown version after it', 'Signatures of other versions are ignored.', {
      written: (right) => `${right} v2,${ZEROS}==`,
    }),
    take('two blanks between signatures', 'Nothing between two blanks is ignored.', {
      signedWith: [FOREIGN, OWN],
      written: (right) => right.replace(' ', '  '),
    }),
    take('blanks around signatures', 'Nothing before or after a blank is ignored.', {
      written: (right) => ` ${right} `,
    }),
    take('non-ASCII text', 'The signature is one of bytes, here of UTF-8.', { body: bodyOf('ካሳ ☕ 😀') }),
    take('JSON with blanks', 'JSON that is parsed and written again has other bytes.', { body: BODY_WITH_BLANKS }),
    take('JSON with escapes', 'JSON that is parsed and written again has other bytes.', {
      body: BODY.replace('ORDER-1', 'caf\\u00e9 \\/ 1'),
    }),
    take('long id', 'An id may have any length.', { id: `evt_${'x'.repeat(4_000)}` }),
    take('secret of 24 bytes', 'Secrets have 24 to 64 bytes.', { signedWith: [SHORTEST], secrets: [SHORTEST] }),
    take('secret of 64 bytes', 'Secrets have 24 to 64 bytes.', { signedWith: [LONGEST], secrets: [LONGEST] }),
    take('300 s old', 'It is as old as the tolerance.', { timestamp: String(NOW_S - TOLERANCE_S) }),
    take('300 s ahead', 'It is as far ahead as the tolerance.', { timestamp: String(NOW_S + TOLERANCE_S) }),
  ]
}

function refusedVectors(): WebhookVector[] {
  const refuse = (name: string, why: string, request?: Request) => vectorOf(name, false, why, request)
  const header = (name: string, value: string) => ({ changed: { headers: { [name]: value } } })
  return [
    refuse('301 s old', 'It is older than the tolerance.', { timestamp: String(NOW_S - TOLERANCE_S - 1) }),
    refuse('301 s ahead', 'It is further ahead than the tolerance.', { timestamp: String(NOW_S + TOLERANCE_S + 1) }),
    refuse('timestamp in milliseconds', 'A timestamp has seconds.', { timestamp: String(NOW_S * 1_000) }),
    refuse('timestamp that is no number', 'A timestamp is a whole number.', { timestamp: 'now' }),
    refuse('no id', 'The header webhook-id is missing.', { without: 'webhook-id' }),
    refuse('no timestamp', 'The header webhook-timestamp is missing.', { without: 'webhook-timestamp' }),
    refuse('no signature', 'The header webhook-signature is missing.', { without: 'webhook-signature' }),
    refuse('empty id', 'An empty id would be the same for all events.', { id: '' }),
    refuse('other secret', 'No secret of the receiver has signed it.', { signedWith: [FOREIGN] }),
    refuse('changed body', 'The body is signed.', { changed: { body: BODY.replace('100.50', '900.50') } }),
    refuse('changed blanks', 'The bytes are signed, and not what they mean.', { changed: { body: BODY_WITH_BLANKS } }),
    refuse('changed id', 'The id is signed. Otherwise a duplicate would look new.', header('webhook-id', `${ID}2`)),
    refuse('changed timestamp', 'The timestamp is signed. Otherwise an old request would look new.', {
      timestamp: String(NOW_S - 86_400),
      ...header('webhook-timestamp', String(NOW_S)),
    }),
    refuse('truncated signature', 'It is a part of the right one.', { written: (right) => right.slice(0, -8) }),
    refuse('extended signature', 'It is more than the right one.', { written: (right) => `${right}AAAA` }),
    refuse('URL-safe base64', 'The sender writes + and /.', {
      body: bodyOf(referenceWith(/(?=.*\+).*\//)),
      written: (right) => right.replaceAll('+', '-').replaceAll('/', '_'),
    }),
    refuse('base64 without padding', 'The sender writes the padding.', { written: (right) => right.replace(/=$/, '') }),
    refuse('signature without its version', 'A signature begins with v1 and a comma.', {
      written: (right) => right.replace('v1,', ''),
    }),
    refuse('right signature of an unknown version', 'A signature begins with v1 and a comma.', {
      written: (right) => right.replace('v1,', 'v2,'),
    }),
    refuse('empty signature', 'Nothing is behind v1 and the comma.', { written: () => 'v1,' }),
    refuse('empty header of signatures', 'It has no signature.', { written: () => '' }),
    refuse('body that is not JSON', 'It is signed, and is no event.', { body: '{"type":"payment.succeeded"' }),
  ]
}

/** A reference with which the signature matches `pattern`. */
function referenceWith(pattern: RegExp): string {
  for (let number = 1; ; number++) {
    const signed = { id: ID, timestampS: NOW_S, body: bodyOf(`ORDER-${number}`), secrets: [OWN] }
    if (pattern.test(signatures(signed))) return `ORDER-${number}`
  }
}

/** The file docs/webhook-vectors.json, which tests of receivers in any language read. */
export function webhookVectors() {
  return {
    description:
      'Requests that a receiver of webhooks accepts or refuses. now is its clock in Unix seconds. A timestamp may differ from it by tolerance_s. headers have names in lower case. body_base64 is the base64 of the bytes of the body.',
    vectors: [...acceptedVectors(), ...refusedVectors()],
  }
}
