import { expect } from 'chai'
import { readCharge } from '../../src/provider/read-charge.ts'

describe("a provider's HTTP answer", () => {
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
    it(`${what} means that it has not decided yet, with or without Retry-After`, () => {
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
    it(`${what} refuses the form of this payment`, () => {
      expect(read(status, body)).to.deep.equal({ outcome: 'refused', reason: `HTTP ${status}` })
    })
  }

  for (const status of [200, 402, 422]) {
    it(`${status} with the status declined declines, with the code`, () => {
      const body = { status: 'declined', failure_code: 'insufficient_funds' }
      expect(read(status, body)).to.deep.equal({ outcome: 'declined', failureCode: 'insufficient_funds' })
    })
  }

  for (const body of [{ status: 'declined' }, { status: 'declined', failure_code: null }]) {
    it(`${JSON.stringify(body)} declines without a code`, () => {
      expect(read(422, body)).to.deep.equal({ outcome: 'declined', failureCode: 'declined' })
    })
  }

  for (const status of [401, 403]) {
    it(`${status} is an error of the settings, whatever it says`, () => {
      expect(read(status, { status: 'declined' })).to.deep.equal({ outcome: 'rejected', reason: `HTTP ${status}` })
    })
  }

  it('202 decides when its body does', () => {
    expect(read(202, { status: 'approved' })).to.deep.equal({ outcome: 'approved' })
    expect(read(202, { status: 'declined' })).to.deep.equal({ outcome: 'declined', failureCode: 'declined' })
  })
})
