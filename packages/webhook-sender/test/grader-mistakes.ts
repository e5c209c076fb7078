import { createHmac } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { type CheckName, newSecret } from '../src/index.ts'
import type { CheckEvent, Steps } from './graded-receiver.ts'

export const SECRET = newSecret()
const parsed = (body: Buffer) => JSON.parse(body.toString()) as CheckEvent

/** Verifies as Standard Webhooks has it, by hand, so that a test can leave a step out. */
function hmac(headers: Record<string, string>, body: string | Buffer, signedBody = body, secret = SECRET): boolean {
  const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures = '' } = headers
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  const right = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(signedBody).digest('base64')
  return signatures.split(' ').includes(`v1,${right}`)
}

const anything = (body: Buffer) => parsed(body)
const byHand =
  (isRight: (headers: Record<string, string>, body: Buffer) => boolean): Steps['verify'] =>
  (body, headers) => {
    const ageS = Math.abs(Date.now() / 1_000 - Number(headers['webhook-timestamp']))
    if (ageS > 300 || !isRight(headers, body)) throw new Error('not ours')
    return parsed(body)
  }
/** Receivers with one mistake each, and the cases that find it. */
export const BROKEN: readonly [title: string, broken: Partial<Steps>, found: readonly CheckName[]][] = [
  [
    'does not verify',
    { verify: anything },
    [
      ...(['forged_signature', 'empty_secret', 'missing_signature', 'empty_signature', 'unknown_version'] as const),
      ...(['changed_body', 'changed_id', 'changed_timestamp', 'stale_timestamp', 'future_timestamp'] as const),
    ],
  ],
  [
    'does not look at the timestamp',
    {
      verify(body, headers) {
        if (!hmac(headers, body)) throw new Error('not ours')
        return parsed(body)
      },
    },
    ['stale_timestamp', 'future_timestamp'],
  ],
  [
    'verifies JSON that was parsed and written again',
    { verify: byHand((headers, body) => hmac(headers, body, JSON.stringify(parsed(body)))) },
    ['raw_bytes'],
  ],
  [
    'looks at the first signature only',
    {
      verify: byHand((headers, body) => {
        const [first = ''] = headers['webhook-signature']?.split(' ') ?? []
        return hmac({ ...headers, 'webhook-signature': first }, body)
      }),
    },
    ['two_signatures'],
  ],
  [
    'compares as many characters of the signature as there are',
    {
      verify: byHand((headers, body) => {
        const [first = ''] = headers['webhook-signature']?.split(' ') ?? []
        const given = /^v1,(.*)/.exec(headers['webhook-signature']?.split(' ').at(-1) ?? first)?.[1]
        return given === '' || hmac(headers, body)
      }),
    },
    ['empty_signature'],
  ],
  [
    'takes what has no signature of a version that it knows',
    {
      verify: byHand((headers, body) => {
        const given = headers['webhook-signature']?.split(' ') ?? []
        return (given.length > 0 && !given.some((one) => one.startsWith('v1,'))) || hmac(headers, body)
      }),
    },
    ['unknown_version'],
  ],
  [
    'takes what has no signature',
    { verify: byHand((headers, body) => !headers['webhook-signature'] || hmac(headers, body)) },
    ['missing_signature'],
  ],
  [
    'verifies with an empty secret too',
    {
      verify: byHand((headers, body) => [SECRET, ''].some((secret) => hmac(headers, body, body, secret))),
    },
    ['empty_secret'],
  ],
  [
    'does not sign the body',
    {
      verify(body, headers) {
        const sequence = body.toString().replace('"sequence":7', '"sequence":1')
        return new Webhook(SECRET).verify(sequence, headers) as CheckEvent
      },
    },
    ['changed_body'],
  ],
  ['handles what comes twice twice', { isStored: () => false }, ['duplicate', 'simultaneous_duplicates']],
  [
    'tells events apart by their signature',
    { idOf: (headers) => `${headers['webhook-signature']}` },
    ['duplicate', 'simultaneous_duplicates'],
  ],
  [
    'tells events apart by their payment',
    { idOf: (headers) => `${headers['webhook-id']?.replace(/_\d+$/, '')}` },
    ['in_order', 'out_of_order'],
  ],
  ['takes each later event of a payment for an outdated one', { isOutdated: (latest) => latest > 0 }, ['in_order']],
  [
    'compares sequences as text',
    { isOutdated: (latest, place) => latest > 0 && String(place) < String(latest) },
    ['in_order'],
  ],
  ['takes the last event for the present state', { isOutdated: () => false }, ['out_of_order']],
  [
    'orders events by their time',
    { placeOf: ({ timestamp }) => Date.parse(timestamp), isOutdated: (latest, place) => place < latest },
    ['out_of_order'],
  ],
  ['compares sequences of all payments', { subjectOf: () => 'all' }, ['out_of_order', 'valid_again']],
  ['fails for types that it does not know', { types: ['payment.created', 'webhook.check'] }, ['unknown_type']],
  ['has a small limit for bodies', { bodyBytesMax: 102_400 }, ['large_body']],
]
