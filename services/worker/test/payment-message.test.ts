import { expect } from 'chai'
import { readDelivery } from '../src/payment-message.ts'

const ID = '0197f3c0-0000-7000-8000-0123456789ab'
const read = (body: string, headers = {}) => readDelivery({ body: Buffer.from(body), messageId: 'm-1', headers })

describe('readDelivery', () => {
  for (const body of [
    `{"payment_id":"${ID}"}`,
    `{"payment_id": "${ID}", "more": 1}`,
    ID,
    ` ${ID}\n`,
    `"${ID}"`,
    ID.toUpperCase(),
  ]) {
    it(`reads the payment id from ${body}`, () => {
      expect(read(body)).to.deep.equal({ paymentId: ID, messageId: 'm-1', requestId: undefined })
    })
  }

  for (const body of [
    '',
    '{}',
    '[]',
    'null',
    '42',
    '{"payment_id":7}',
    '{"payment_id":"x"}',
    `${ID}0`,
    '{',
    '\u0000',
    `["${ID}"]`,
    `${'['.repeat(2_000)}${']'.repeat(2_000)}`,
    `{"payment_id":${'['.repeat(2_000)}${']'.repeat(2_000)}}`,
    `{"payment_id":"${ID}","more":"${'x'.repeat(4_096)}"}`,
  ]) {
    it(`refuses ${JSON.stringify(body).slice(0, 100)}`, () => {
      expect(read(body)).to.equal(undefined)
    })
  }

  it('reads the request id if an API could have created it', () => {
    expect(read(ID, { 'x-request-id': 'r-1' })?.requestId).to.equal('r-1')
    for (const given of [7, '', 'r\u0000', 'r 1', 'x'.repeat(129)])
      expect(read(ID, { 'x-request-id': given })?.requestId).to.equal(undefined)
  })
})
