import { expect } from 'chai'
import { readDelivery } from '../src/read-delivery.ts'

const ID = '0197f3c0-0000-7000-8000-0123456789ab'
const read = (body: string, headers = {}) => readDelivery({ body: Buffer.from(body), messageId: 'm-1', headers })

describe('a delivery', () => {
  for (const body of [
    `{"payment_id":"${ID}"}`,
    `{"payment_id": "${ID}", "more": 1}`,
    ID,
    ` ${ID}\n`,
    `"${ID}"`,
    ID.toUpperCase(),
  ]) {
    it(`names its payment as ${body}`, () => {
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
  ]) {
    it(`is not readable as ${JSON.stringify(body)}`, () => {
      expect(read(body)).to.equal(undefined)
    })
  }

  it('carries the id of the request that it began with, if that is text', () => {
    expect(read(ID, { 'x-request-id': 'r-1' })?.requestId).to.equal('r-1')
    expect(read(ID, { 'x-request-id': 7 })?.requestId).to.equal(undefined)
  })
})
