import { expect } from 'chai'
import { createMerchantSlots, type MerchantSlotsOptions } from '../src/merchant-slots.ts'

describe('merchant slots', () => {
  const { signal } = new AbortController()
  const settled = () => new Promise(setImmediate)

  /** Slots, and the merchants in the order in which they got one. `end` releases the slot of a merchant. */
  function create(options: Partial<MerchantSlotsOptions> = {}) {
    const slots = createMerchantSlots({ runningMax: 2, waitingMax: 30, waitMaxMs: 60_000, ...options })
    const begun: string[] = []
    const held = new Map<string, () => void>()
    return {
      slots,
      begun,
      async acquire(merchant: string, by = signal) {
        const release = await slots.acquire(by, merchant)
        begun.push(merchant)
        held.set(merchant, release)
      },
      async end(merchant: string) {
        held.get(merchant)?.()
        await settled()
      },
    }
  }
  const reasonOf = (promise: Promise<unknown>) =>
    promise.then(
      () => undefined,
      (error: unknown) => error,
    )

  // Promise 82
  it('merchant slots: run one request of a merchant at a time, and two in all', async () => {
    const { slots, begun, acquire, end } = create()
    for (const merchant of ['a', 'a', 'b', 'c']) void acquire(merchant)
    await settled()
    expect(begun).to.deep.equal(['a', 'b'])
    expect([slots.running, slots.waiting]).to.deep.equal([2, 2])
    await end('b')
    expect(begun).to.deep.equal(['a', 'b', 'c'])
    await end('c')
    expect(begun).to.deep.equal(['a', 'b', 'c'])
    await end('a')
    expect(begun).to.deep.equal(['a', 'b', 'c', 'a'])
    await end('a')
    expect([slots.running, slots.waiting]).to.deep.equal([0, 0])
  })

  // Promise 82
  it('merchant slots: let merchants take turns, however many requests of one wait', async () => {
    const { begun, acquire, end } = create({ runningMax: 1 })
    for (const merchant of ['a', 'a', 'a', 'b', 'c', 'b']) void acquire(merchant)
    await settled()
    for (let n = 0; n < 6; n++) await end(begun.at(-1) ?? '')
    expect(begun).to.deep.equal(['a', 'b', 'c', 'a', 'b', 'a'])
  })

  // Promise 82
  it('merchant slots: refuse requests of a merchant when a tenth of all that may wait are its own, and others later', async () => {
    const { slots, acquire } = create({ waitingMax: 20 })
    const waiting = [acquire('a'), acquire('a'), acquire('a')]
    expect(await reasonOf(acquire('a'))).to.include({ code: 'queue_full' })
    await settled()
    expect([slots.running, slots.waiting]).to.deep.equal([1, 2])
    waiting.push(acquire('b'))
    for (let n = 0; n < 18; n++) waiting.push(acquire(`m${n}`))
    expect(await reasonOf(acquire('last'))).to.include({ code: 'queue_full' })
    expect([slots.running, slots.waiting]).to.deep.equal([2, 20])
  })

  // Promise 82
  it('merchant slots: refuse a request that waited too long, for its merchant and for a slot together', async () => {
    const { slots, acquire, end, begun } = create({ runningMax: 1, waitMaxMs: 50 })
    await acquire('a')
    const reasons = await Promise.all(['a', 'b', 'b'].map((merchant) => reasonOf(acquire(merchant))))
    for (const reason of reasons) expect(reason).to.include({ code: 'waited_too_long' })
    expect([slots.running, slots.waiting]).to.deep.equal([1, 0])
    await end('a')
    await acquire('b')
    expect(begun).to.deep.equal(['a', 'b'])
  })

  it('merchant slots: keep no slot for a request whose client has gone', async () => {
    const { slots, acquire, end, begun } = create({ runningMax: 1 })
    await acquire('a')
    const leaving = new AbortController()
    const gone = ['a', 'b'].map((merchant) => reasonOf(acquire(merchant, leaving.signal)))
    const kept = acquire('b')
    await settled()
    leaving.abort(new Error('gone'))
    for (const reason of await Promise.all(gone)) expect(reason).to.have.property('message', 'gone')
    expect(await reasonOf(acquire('c', leaving.signal))).to.have.property('message', 'gone')
    await end('a')
    await kept
    await end('b')
    expect(begun).to.deep.equal(['a', 'b'])
    expect([slots.running, slots.waiting]).to.deep.equal([0, 0])
    await acquire('c')
  })
})
