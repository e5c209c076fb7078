import { setInterval } from 'node:timers/promises'
import { defined } from '@cashflow/async'
import { expect } from 'chai'
import { type ApiUnderTest, startApi } from '../start-api.ts'
import { AUTH, createKey, inventedKey } from './merchant-keys.ts'

const CLIENTS = 20
const RIGHT_PER_CLIENT = 60
const REQUESTS_PER_KEY = 10
const WRONG_PER_SECOND = 100
/** Longer than the 5 s for which the api keeps a key in memory. */
const LASTS_MS = 7_000

describe('api with keys behind one address', () => {
  for (const [what, trustProxy, address] of [
    ['directly', [], '127.0.0.1'],
    ['through a trusted proxy', [{ address: '127.0.0.1', prefix: 32 }], '203.0.113.9'],
  ] as const)
    it(`api with keys refuses none of 20 merchants that share an address ${what} with 100 wrong keys a second`, async () => {
      const api = await startApi({ auth: AUTH, trustProxy })
      const keys: string[] = []
      for (let n = 0; n < (CLIENTS * RIGHT_PER_CLIENT) / REQUESTS_PER_KEY; n++) keys.push((await createKey(api)).text)
      const right = Array.from({ length: CLIENTS }, () => useKeys(api, keys))
      const wrong = await atPace(WRONG_PER_SECOND, () => statusOf(api, inventedKey()))
      const statuses = (await Promise.all(right)).flat()
      const addresses = new Set(api.logs.flatMap(({ client }) => client ?? []))
      await api.stop()

      expect(statuses).to.have.length(CLIENTS * RIGHT_PER_CLIENT)
      // No payment has this id: that is all there is to say to a right key. A busy machine may answer some with 503.
      expect([...new Set(statuses)].filter((status) => status !== 503)).to.deep.equal([404])
      expect(statuses.filter((status) => status === 503).length).to.be.below(statuses.length / 20)
      expect(wrong).to.have.length(Math.floor((WRONG_PER_SECOND * LASTS_MS) / 1_000))
      expect(new Set(wrong.filter((status) => status !== 503))).to.deep.equal(new Set([401, 429]))
      expect([...addresses]).to.deep.equal([address])
    }).timeout(60_000)

  async function statusOf(api: ApiUnderTest, key: string): Promise<number> {
    const headers = { Authorization: `Bearer ${key}`, 'X-Forwarded-For': '203.0.113.9' }
    const answer = await fetch(`${api.http.url}/payments/x`, { headers })
    await answer.bytes()
    return answer.status
  }

  /** Sends the requests of a client. Now and then it takes a new key, which the api has to look up before it answers. */
  async function useKeys(api: ApiUnderTest, keys: string[]): Promise<number[]> {
    let key = ''
    let count = 0
    return atPace(RIGHT_PER_CLIENT / (LASTS_MS / 1_000), () => {
      if (count % REQUESTS_PER_KEY === 0) key = defined(keys.pop(), 'key')
      count += 1
      return statusOf(api, key)
    })
  }

  /** Sends requests at a rate that does not fall when answers are slow, so that they cannot slow down an attack. */
  async function atPace(perSecond: number, send: () => Promise<number>): Promise<number[]> {
    const startedAt = performance.now()
    const sent: Promise<number>[] = []
    for await (const _ of setInterval(10)) {
      const elapsedMs = Math.min(LASTS_MS, performance.now() - startedAt)
      while (sent.length < Math.floor((elapsedMs / 1_000) * perSecond + 1e-6)) sent.push(send())
      if (elapsedMs === LASTS_MS) break
    }
    return Promise.all(sent)
  }
})
