import { getEventListeners } from 'node:events'
import { DeadlineError, pause, within } from '@cashflow/async'
import { expect } from 'chai'

const never = new Promise<never>(() => {})

describe('within', () => {
  it('returns the result of the work, and throws its error', async () => {
    expect(await within(Promise.resolve(7), { deadlineMs: 1_000, what: 'work' })).to.equal(7)
    const failed = await within(Promise.reject(new Error('broken')), { deadlineMs: 1_000, what: 'work' }).catch(
      (error) => error,
    )
    expect(failed).to.have.property('message', 'broken')
  })

  it('throws a DeadlineError that names the work at the deadline', async () => {
    const late = await within(never, { deadlineMs: 10, what: 'closing the channel' }).catch((error) => error)
    expect(late).to.be.instanceOf(DeadlineError)
    expect(late.message).to.equal('closing the channel took longer than 10 ms')
  })

  it('throws the reason of a signal that aborts, or had aborted before', async () => {
    const stopping = new AbortController()
    const options = { deadlineMs: 10_000, what: 'work', signal: stopping.signal }
    const stopped = within(never, options).catch((error) => error)
    stopping.abort(new Error('stopping'))
    expect(await stopped).to.have.property('message', 'stopping')
    expect(await within(never, options).catch((error) => error)).to.have.property('message', 'stopping')
  })

  it('waits without a deadline until its signal aborts', async () => {
    const stopping = new AbortController()
    const { signal } = stopping
    expect(await within(Promise.resolve(7), { signal })).to.equal(7)
    expect(getEventListeners(signal, 'abort')).to.have.lengthOf(0)
    const stopped = within(never, { signal }).catch((error) => error)
    expect(await Promise.race([stopped, pause(20)])).to.equal(undefined)
    stopping.abort(new Error('stopping'))
    expect(await stopped).to.have.property('message', 'stopping')
  })
})
