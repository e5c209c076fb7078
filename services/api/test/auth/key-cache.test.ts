import { eventually } from '@cashflow/async'
import { expect } from 'chai'
import { createKeyCache, isInForce, KNOWN_MAX } from '../../src/auth/key-cache.ts'
import type { FoundKey } from '../../src/auth/key-lookups.ts'
import { aStoredKey } from './stored-key.ts'

/** A cache with a clock and a table of keys that the test changes. */
function startCache() {
  const state = {
    nowMs: 0,
    stored: new Set<string>(),
    known: [] as string[],
    unknown: [] as string[],
    error: undefined as Error | undefined,
  }
  const refreshed: unknown[] = []
  const lookups = (asked: string[]) => ({
    async find(id: string): Promise<FoundKey> {
      asked.push(id)
      const askedAt = state.nowMs
      if (state.error) throw state.error
      return { key: state.stored.has(id) ? aStoredKey({ id }) : undefined, askedAt }
    },
  })
  const cache = createKeyCache({
    known: lookups(state.known),
    unknown: lookups(state.unknown),
    onRefreshed: (error) => void refreshed.push(error),
    now: () => state.nowMs,
  })
  return { state, cache, refreshed }
}

describe('key cache', () => {
  it('uses a key for 5 s from before its look-up, and no longer', async () => {
    const { state, cache } = startCache()
    state.stored.add('k')
    expect(cache.recall('k')).to.equal(undefined)
    await cache.lookUp('k', 'a')
    state.nowMs = 3_999
    expect(cache.recall('k')?.key?.id).to.equal('k')
    state.error = new Error('PostgreSQL is away')
    state.nowMs = 4_999
    expect(cache.recall('k')?.key?.id).to.equal('k')
    state.nowMs = 5_000
    expect(cache.recall('k')).to.equal(undefined)
    expect(await cache.lookUp('k', 'a').catch((error) => error)).to.equal(state.error)
  })

  it('looks a busy key up in the background from 4 s on, so that no request waits', async () => {
    const { state, cache, refreshed } = startCache()
    state.stored.add('k')
    await cache.lookUp('k', 'a')
    for (state.nowMs = 0; state.nowMs < 60_000; state.nowMs += 100) {
      expect(cache.recall('k')?.key?.id, `${state.nowMs} ms`).to.equal('k')
      await eventually(() => expect(refreshed.length).to.equal(state.known.length))
    }
    expect(state.known).to.have.length(14)
    expect(state.unknown).to.deep.equal(['k'])
    expect(new Set(refreshed)).to.deep.equal(new Set([undefined]))
  })

  it('reports a look-up in the background that fails, and tries it again', async () => {
    const { state, cache, refreshed } = startCache()
    state.stored.add('k')
    await cache.lookUp('k', 'a')
    state.error = new Error('PostgreSQL is away')
    for (const at of [4_000, 4_100]) {
      state.nowMs = at
      cache.recall('k')
      await eventually(() => expect(refreshed).to.have.length(state.known.length))
    }
    expect(refreshed).to.deep.equal([state.error, state.error])
  })

  it('looks an id up once for all requests that wait for it', async () => {
    const { state, cache } = startCache()
    state.stored.add('k')
    const found = await Promise.all([cache.lookUp('k', 'a'), cache.lookUp('k', 'b'), cache.lookUp('k', 'a')])
    expect(new Set(found).size).to.equal(1)
    expect(state.unknown).to.deep.equal(['k'])
  })

  it('does not use an answer that came later than 5 s after its question', async () => {
    const { state, cache } = startCache()
    state.stored.add('k')
    const asked = cache.lookUp('k', 'a')
    state.nowMs = 5_000
    expect((await asked.catch((error) => error)).code).to.equal('deadline_passed')
  })

  it('remembers for 5 s that no key has an id, and sees a key that has it then', async () => {
    const { state, cache } = startCache()
    await cache.lookUp('k', 'a')
    state.nowMs = 4_999
    expect(cache.recall('k')).to.deep.equal({ key: undefined, askedAt: 0 })
    state.stored.add('k')
    state.nowMs = 5_000
    expect(cache.recall('k')).to.equal(undefined)
    expect((await cache.lookUp('k', 'a')).key?.id).to.equal('k')
  })

  it('looks a key that it knows up apart from unknown ids, also after an hour', async () => {
    const { state, cache } = startCache()
    state.stored.add('k')
    await cache.lookUp('k', 'a')
    state.nowMs = 3_600_000
    await cache.lookUp('k', 'a')
    expect([state.unknown, state.known]).to.deep.equal([['k'], ['k']])
  })

  it('forgets the oldest beyond its limit, and no key because of unknown ids', async () => {
    const { state, cache } = startCache()
    state.stored.add('k')
    await cache.lookUp('k', 'a')
    for (let n = 0; n <= 10_000; n += 1) await cache.lookUp(`invented ${n}`, 'a')
    expect(cache.recall('invented 0')).to.equal(undefined)
    expect(cache.recall('invented 1')).not.to.equal(undefined)
    expect(cache.recall('k')?.key?.id).to.equal('k')
    for (let n = 0; n < KNOWN_MAX; n += 1) {
      state.stored.add(`key ${n}`)
      await cache.lookUp(`key ${n}`, 'a')
    }
    expect(cache.recall('k')).to.equal(undefined)
    expect(cache.recall('key 0')?.key?.id).to.equal('key 0')
  })
})

describe('isInForce', () => {
  const now = new Date('2027-01-01T00:00:00.000Z')
  it('isInForce is false for a key that is revoked, or expired by the clock of the database', () => {
    expect(isInForce(aStoredKey({ now }), 1e9)).to.equal(true)
    expect(isInForce(aStoredKey({ now, revokedAt: now }), 0)).to.equal(false)
    const key = aStoredKey({ now, expiresAt: new Date(now.getTime() + 1_000) })
    expect([isInForce(key, 999), isInForce(key, 1_000)]).to.deep.equal([true, false])
  })
})
