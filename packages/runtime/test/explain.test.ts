import { expect } from 'chai'
import { explain } from '../src/explain.ts'

describe('explain', () => {
  it('says what is wrong with the surroundings, without a stack and without passwords', () => {
    const error = Object.assign(new Error('no server at postgres://u:hunter2@h/d'), { code: 'ECONNREFUSED' })
    expect(explain(error)).to.deep.equal({ reason: 'no server at postgres://u:***@h/d', code: 'ECONNREFUSED' })
  })

  it('keeps the whole of an error that is a bug', () => {
    const error = new TypeError('undefined is not a function')
    expect(explain(error)).to.deep.equal({ error })
  })
})
