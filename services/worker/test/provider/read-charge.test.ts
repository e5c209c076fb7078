import { expect } from 'chai'
import { RETRY_AFTER_MAX_MS, readCharge, readRetryAfter } from '../../src/provider/read-charge.ts'

describe('readCharge', () => {
  const read = (status: number, body: unknown, retryAfter: string | null = null) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    return readCharge({ status, retryAfter, body: Buffer.from(text) })
  }

  for (const [what, status, body] of [
    ['202 without a body', 202, ''],
    ['202 with a body that cannot be read', 202, '<html>accepted</html>'],
    ['202 with the status pending', 202, { status: 'pending' }],
    ['200 with the status pending', 200, { status: 'pending', id: 'ch_1' }],
    ['201 with the status pending', 201, { status: 'pending' }],
  ] as const) {
    it(`reads ${what} as pending, with or without Retry-After`, () => {
      expect(read(status, body)).to.deep.equal({ outcome: 'pending' })
      expect(read(status, body, '7')).to.deep.equal({ outcome: 'pending', retryAfterMs: 7_000 })
    })
  }

  for (const [what, status, body] of [
    ['400', 400, { status: 'declined' }],
    ['404', 404, { status: 'declined' }],
    ['422 without a body', 422, ''],
    ['422 with the status approved', 422, { status: 'approved' }],
    ['422 with the status pending', 422, { status: 'pending' }],
  ] as const) {
    // Promise 17
    it(`reads ${what} as a refusal of this payment`, () => {
      expect(read(status, body)).to.deep.equal({ outcome: 'refused', reason: `HTTP ${status}` })
    })
  }

  for (const status of [200, 402, 422]) {
    it(`reads ${status} with the status declined as declined, with the failure code`, () => {
      const body = { status: 'declined', failure_code: 'insufficient_funds' }
      expect(read(status, body)).to.deep.equal({ outcome: 'declined', failureCode: 'insufficient_funds' })
    })
  }

  it('reads the failure code canceled, which only a cancel of the client has, as canceled_by_provider', () => {
    const body = { status: 'declined', failure_code: 'canceled' }
    expect(read(422, body)).to.deep.equal({ outcome: 'declined', failureCode: 'canceled_by_provider' })
  })

  for (const body of [{ status: 'declined' }, { status: 'declined', failure_code: null }]) {
    it(`reads ${JSON.stringify(body)} as declined without a failure code`, () => {
      expect(read(422, body)).to.deep.equal({ outcome: 'declined', failureCode: 'declined' })
    })
  }

  for (const status of [401, 403]) {
    it(`reads ${status} as rejected credentials, with any body`, () => {
      expect(read(status, { status: 'declined' })).to.deep.equal({ outcome: 'rejected', reason: `HTTP ${status}` })
    })
  }

  it('reads 202 as decided when its body decides', () => {
    expect(read(202, { status: 'approved' })).to.deep.equal({ outcome: 'approved' })
    expect(read(202, { status: 'declined' })).to.deep.equal({ outcome: 'declined', failureCode: 'declined' })
  })
})

const NOW = Date.parse('2026-11-22T10:00:00.000Z')

describe('readRetryAfter', () => {
  for (const [value, milliseconds] of [
    ['0', 0],
    ['120', 120_000],
    [' 5 ', 5_000],
    ['999999999999999999999999', RETRY_AFTER_MAX_MS],
    ['Sun, 22 Nov 2026 10:00:30 GMT', 30_000],
    ['Sun, 22 Nov 2026 09:00:00 GMT', 0],
    ['Sun, 22 Nov 2126 10:00:00 GMT', RETRY_AFTER_MAX_MS],
    ['-1', undefined],
    ['1.5', undefined],
    ['soon', undefined],
    ['2026-11-22T10:00:30Z', undefined],
    ['Sun, 99 Nov 2026 10:00:30 GMT', undefined],
    ['', undefined],
    [null, undefined],
  ] as const) {
    it(`reads ${JSON.stringify(value)} as ${milliseconds} ms`, () => {
      expect(readRetryAfter(value, NOW)).to.equal(milliseconds)
    })
  }
})
