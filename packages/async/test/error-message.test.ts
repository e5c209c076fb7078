import { defined, errorMessage } from '@cashflow/async'
import { expect } from 'chai'

describe('errorMessage', () => {
  it('joins the errors of an aggregate without a message', () => {
    const refused = ['::1', '127.0.0.1'].map((host) => new Error(`connect ECONNREFUSED ${host}`))
    const message = 'connect ECONNREFUSED ::1; connect ECONNREFUSED 127.0.0.1'
    expect(errorMessage(new AggregateError(refused))).to.equal(message)
  })

  it('errorMessage is never empty, and returns a thrown text unchanged', () => {
    expect(errorMessage(new TypeError(''))).to.equal('TypeError')
    expect(errorMessage(new AggregateError([]))).to.equal('AggregateError')
    expect(errorMessage('text')).to.equal('text')
  })
})

describe('defined', () => {
  it('returns the value, also a falsy one, and throws an error with the word bug for undefined', () => {
    expect(defined(0, 'count')).to.equal(0)
    expect(() => defined(undefined, 'outcome of message 3')).to.throw('bug: no outcome of message 3')
  })
})
