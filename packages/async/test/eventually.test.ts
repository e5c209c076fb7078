import { expect } from 'chai'
import { eventually } from '../src/index.ts'

describe('eventually', () => {
  it('repeats the assertion until it holds, and returns its result', async () => {
    let tries = 0
    const assertion = async () => {
      tries += 1
      if (tries < 3) throw new Error('not yet')
      return tries
    }
    expect(await eventually(assertion, { intervalMs: 1 })).to.equal(3)
  })

  it('throws the assertion’s own error after the timeout', async () => {
    const assertion = () => {
      throw new Error('never')
    }
    const failure = await eventually(assertion, { timeoutMs: 5, intervalMs: 1 }).catch((error: Error) => error.message)
    expect(failure).to.equal('never')
  })
})
