import { expect } from 'chai'
import { readDelivery, retryOf } from '../src/payment-message.ts'

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
      const none = { requestId: undefined, traceparent: undefined }
      expect(read(body)).to.deep.equal({ paymentId: ID, messageId: 'm-1', ...none })
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

  it('reads the traceparent if it is well-formed, and messages that it leads to go on in the trace', () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const message = read(ID, { traceparent })
    expect(message?.traceparent).to.equal(traceparent)
    expect(message && retryOf(message).headers).to.deep.equal({ traceparent })
    for (const given of [7, '', traceparent.toUpperCase(), [traceparent]])
      expect(read(ID, { traceparent: given })?.traceparent).to.equal(undefined)
  })
})
