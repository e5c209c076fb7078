import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { REPOSITORY } from '@cashflow/testing'
import { newSecret, signatures, webhookHeaders } from '@cashflow/webhook-sender'
import { expect } from 'chai'
import fc from 'fast-check'
import { Webhook } from 'standardwebhooks'
import { verifyWebhook, type WebhookHeaders, WebhookVerificationError } from '../src/index.ts'

interface Vector {
  name: string
  secrets: string[]
  now: number
  tolerance_s: number
  headers: Record<string, string>
  body_base64: string
  accepted: boolean
}

const EVENT = {
  type: 'payment.succeeded',
  timestamp: '2026-11-30T00:00:00.000Z',
  data: { id: '01a200e6-61da-7305-a53d-01a16fbc86b7', amount: 100.5, amount_minor: 10050, sequence: 2 },
}
const BODY = JSON.stringify(EVENT)
const NOW = new Date('2026-11-30T00:00:00.900Z')
const [OWN, OTHER] = [newSecret(), newSecret()]

const signed = ({
  id = 'evt_1',
  body = BODY,
  secrets = [OWN],
  now = NOW,
}: Partial<Parameters<typeof webhookHeaders>[0]> = {}) => webhookHeaders({ id, body, secrets, now })

/** The code of the refusal, or undefined for an event. */
function refusalOf(body: Uint8Array | string, headers: WebhookHeaders, secrets: string | string[] = OWN, now = NOW) {
  try {
    verifyWebhook(body, headers, secrets, { now })
    return undefined
  } catch (error) {
    if (error instanceof WebhookVerificationError) return error.code
    throw error
  }
}

describe('verifyWebhook', () => {
  it('verifyWebhook: returns the event with its id, and its amount as text', () => {
    const event = verifyWebhook(BODY, signed(), OWN, { now: NOW })
    expect(event).to.deep.equal({ id: 'evt_1', ...EVENT, data: { ...EVENT.data, amount: '100.50' } })
    expect(verifyWebhook(Buffer.from(BODY), signed(), [OTHER, OWN], { now: NOW })).to.deep.equal(event)
    expect(verifyWebhook(BODY, new Headers(signed()), [OWN], { now: NOW })).to.deep.equal(event)
    expect(verifyWebhook(BODY, signed({ now: new Date() }), OWN)).to.deep.equal(event)
  })

  // Promise 133
  it('verifyWebhook: accepts and refuses what docs/webhook-vectors.json says', async () => {
    const file = await readFile(join(REPOSITORY, 'docs/webhook-vectors.json'), 'utf8')
    const { vectors } = JSON.parse(file) as { vectors: Vector[] }
    expect(vectors.length).to.be.at.least(25)
    for (const { name, secrets, now, tolerance_s: toleranceS, headers, body_base64, accepted } of vectors) {
      const act = () =>
        verifyWebhook(Buffer.from(body_base64, 'base64'), headers, secrets, { now: new Date(now * 1_000), toleranceS })
      if (accepted) expect(act().id, name).to.equal(headers['webhook-id'])
      else expect(act, name).to.throw(WebhookVerificationError)
    }
  })

  it('verifyWebhook: accepts what Cashflow signs for any body, with each of two secrets alone', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.uuid(), fc.constantFrom(OWN, OTHER), (value, id, secret) => {
        const body = JSON.stringify({ ...EVENT, data: { value } })
        const headers = signed({ id, body, secrets: [OWN, OTHER] })
        expect(verifyWebhook(Buffer.from(body), headers, secret, { now: NOW })).to.deep.include({
          id,
          data: JSON.parse(body).data,
        })
        expect(refusalOf(body, headers, newSecret())).to.equal('forged')
      }),
    )
  })

  // Promise 133
  it('verifyWebhook: refuses each request with one changed byte of its body, id, timestamp or signature', () => {
    const changes = fc.record({
      place: fc.constantFrom('body', 'webhook-id', 'webhook-timestamp', 'webhook-signature'),
      at: fc.nat(),
      by: fc.integer({ min: 1, max: 127 }),
    })
    fc.assert(
      fc.property(changes, ({ place, at, by }) => {
        const request: Record<string, string> = { ...signed(), body: BODY }
        const bytes = Buffer.from(String(request[place]))
        const index = at % bytes.length
        bytes[index] = (bytes[index] ?? 0) ^ by
        request[place] = bytes.toString('latin1')
        expect(refusalOf(String(request.body), request)).to.equal('forged')
      }),
    )
  })

  // Promise 133
  it('verifyWebhook: accepts nothing that the official library refuses', () => {
    const right = signatures({ id: 'evt_1', timestampS: 1_795_996_800, body: BODY, secrets: [OWN] })
    const part = fc.constantFrom(
      right,
      right.slice(3),
      right.slice(0, -1),
      'v1',
      'v1,',
      'v2,',
      ',',
      ' ',
      '=',
      'A',
      '\t',
    )
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 5 }), (parts) => {
        const headers = { ...signed({ now: new Date() }) }
        const own = signatures({
          id: 'evt_1',
          timestampS: Number(headers['webhook-timestamp']),
          body: BODY,
          secrets: [OWN],
        })
        headers['webhook-signature'] = parts.join('').replaceAll(right, own)
        if (refusalOf(BODY, headers, OWN, new Date()) === undefined) new Webhook(OWN).verify(BODY, headers)
      }),
    )
  })

  // Promise 133
  it('verifyWebhook: says why with a code, and judges the signature before age and body', () => {
    const old = new Date(NOW.getTime() - 301_000)
    for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature'])
      for (const value of [undefined, '', []])
        expect(refusalOf(BODY, { ...signed(), [name]: value }), name).to.equal('missing-header')
    expect(refusalOf(BODY, signed({ now: old }))).to.equal('stale')
    expect(refusalOf(BODY, signed(), OWN, old)).to.equal('stale')
    expect(refusalOf(BODY, signed({ now: old }), OTHER)).to.equal('forged')
    expect(refusalOf('{', signed({ body: '{' }), OTHER)).to.equal('forged')
    for (const body of ['{', '', '[]', 'null', '{"type":"a","timestamp":"b"}', '{"type":1,"timestamp":"b","data":{}}'])
      expect(refusalOf(body, signed({ body })), body).to.equal('bad-body')
    const [latin1] = [Buffer.from(BODY.replace('payment', 'é'), 'latin1')]
    expect(refusalOf(latin1, signed({ body: latin1 }))).to.equal('bad-body')
    const unequal = BODY.replace('100.5', '100.6')
    expect(refusalOf(unequal, signed({ body: unequal }))).to.equal('bad-body')
    for (const timestamp of ['1795996800.0', '+1795996800', '1e9', '١٧٩٥٩٩٦٨٠٠', '9'.repeat(13)]) {
      const webhookSignature = signatures({ id: 'evt_1', timestampS: timestamp as never, body: BODY, secrets: [OWN] })
      const headers = { ...signed(), 'webhook-timestamp': timestamp, 'webhook-signature': webhookSignature }
      expect(refusalOf(BODY, headers), timestamp).to.equal('bad-timestamp')
    }
  })

  it('verifyWebhook: finds headers of a plain object in any case, such as that of AWS API Gateway', () => {
    const { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature } = signed()
    const titled = { Host: 'a', 'Webhook-Id': id, 'Webhook-Timestamp': timestamp, 'WEBHOOK-SIGNATURE': signature }
    expect(refusalOf(BODY, titled)).to.equal(undefined)
    expect(refusalOf(BODY, { ...titled, 'Webhook-Id': ['evt_1'] })).to.equal(undefined)
    expect(refusalOf(BODY, { ...titled, 'Webhook-Id': 'evt_2' })).to.equal('forged')
    expect(refusalOf(BODY, { ...titled, 'Webhook-Id': undefined })).to.equal('missing-header')
  })

  it('verifyWebhook: takes repeated headers, and refuses a header of more signatures than a rotation makes', () => {
    const { 'webhook-signature': right = '', ...others } = signed()
    expect(refusalOf(BODY, { ...others, 'webhook-signature': [`v1a,${'A'.repeat(88)}`, right] })).to.equal(undefined)
    expect(refusalOf(BODY, { ...signed(), 'webhook-id': ['evt_1', 'evt_2'] })).to.equal('forged')
    const endless = `${'v1,A '.repeat(2_000_000)}${right}`
    expect(refusalOf(BODY, { ...others, 'webhook-signature': endless })).to.equal('forged')
  })

  it('verifyWebhook: throws a TypeError for a parsed body, and for a secret of another form, which it does not show', () => {
    expect(() => verifyWebhook(EVENT as never, signed(), OWN)).to.throw(TypeError, 'Verify the bytes as they arrived')
    const short = `whsec_${Buffer.alloc(23, 7).toString('base64')}`
    const long = `whsec_${Buffer.alloc(65, 7).toString('base64')}`
    for (const secret of [
      undefined,
      '',
      'hunter2',
      'whsec_',
      'whsec_hunter2',
      OWN.slice(6),
      `${OWN}\n`,
      `${OWN},${OTHER}`,
      short,
      long,
    ])
      for (const secrets of [secret, [OWN, secret]])
        expect(() => verifyWebhook(BODY, signed(), secrets as string, { now: NOW }), String(secret))
          .to.throw(TypeError, 'whsec_ and the base64 of 24 to 64 bytes')
          .with.property('message')
          .that.does.not.match(/hunter2|Bwc/)
    expect(() => verifyWebhook(BODY, signed(), [])).to.throw(TypeError, 'No secret')
    for (const toleranceS of [Number.NaN, -1, '300' as never])
      expect(() => verifyWebhook(BODY, signed(), OWN, { toleranceS }), String(toleranceS)).to.throw(TypeError)
    expect(() => verifyWebhook(BODY, signed(), OWN, { now: new Date('') })).to.throw(RangeError)
  })
})
