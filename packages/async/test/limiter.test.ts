import { createLimiter } from '@cashflow/async'
import { expect } from 'chai'

describe('createLimiter', () => {
  it('hands out free slots immediately, and later ones in the order of the callers', async () => {
    const limiter = createLimiter({ runningMax: 2 })
    const order: number[] = []
    await limiter.acquire()
    await limiter.acquire()
    const waiting = [1, 2, 3].map((caller) => limiter.acquire().then(() => order.push(caller)))
    expect([limiter.running, limiter.waiting]).to.deep.equal([2, 3])
    limiter.release(2)
    await Promise.all(waiting.slice(0, 2))
    expect(order).to.deep.equal([1, 2])
    expect([limiter.running, limiter.waiting]).to.deep.equal([2, 1])
    limiter.release()
    await waiting[2]
    expect(order).to.deep.equal([1, 2, 3])
  })

  it('rejects a caller immediately when waitingMax callers wait', async () => {
    const limiter = createLimiter({ runningMax: 1, waitingMax: 1 })
    await limiter.acquire()
    const first = limiter.acquire()
    const refused = await limiter.acquire().catch((error) => error)
    expect(refused).to.have.property('code', 'queue_full')
    limiter.release()
    await first
  })

  it('rejects a caller after waitMaxMs, and never hands it a slot', async () => {
    const limiter = createLimiter({ runningMax: 1, waitMaxMs: 10 })
    await limiter.acquire()
    const late = await limiter.acquire().catch((error) => error)
    expect(late).to.have.property('code', 'waited_too_long')
    expect(limiter.waiting).to.equal(0)
    limiter.release()
    expect(limiter.running).to.equal(0)
  })

  it('rejects with the signal’s reason on abort, and hands the slot to the next caller', async () => {
    const limiter = createLimiter({ runningMax: 1 })
    await limiter.acquire()
    const leaving = new AbortController()
    const gone = limiter.acquire(leaving.signal).catch((error) => error)
    const next = limiter.acquire()
    leaving.abort(new Error('the client has gone'))
    expect(await gone).to.have.property('message', 'the client has gone')
    limiter.release()
    await next
    expect([limiter.running, limiter.waiting]).to.deep.equal([1, 0])
  })

  it('takes a slot synchronously only while one is free', () => {
    const limiter = createLimiter({ runningMax: 1 })
    expect(limiter.tryAcquire()).to.equal(true)
    expect(limiter.tryAcquire()).to.equal(false)
    limiter.release()
    expect(limiter.tryAcquire()).to.equal(true)
  })
})
