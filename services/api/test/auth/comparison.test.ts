import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { expect } from 'chai'
import { expectProblem } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'
import { AUTH, createKey, inventedKey } from './merchant-keys.ts'

const { createHmac, timingSafeEqual } = crypto

describe('api: comparison of keys', () => {
  let api: ApiUnderTest
  /** Calls of Node's functions that compare a key, with the bytes of what is compared. */
  const calls: [name: string, ...bytes: number[]][] = []
  before(async () => {
    api = await startApi({ auth: AUTH })
    replace({
      createHmac: (...given: Parameters<typeof createHmac>) => {
        calls.push(['createHmac'])
        return createHmac(...given)
      },
      timingSafeEqual: (...given: Parameters<typeof timingSafeEqual>) => {
        calls.push(['timingSafeEqual', ...given.map(({ byteLength }) => byteLength)])
        return timingSafeEqual(...given)
      },
    })
  })
  after(async () => {
    replace({ createHmac, timingSafeEqual })
    await api.stop()
  })

  /** Replaces functions of node:crypto for all modules that have imported them. */
  function replace(functions: Partial<typeof crypto>): void {
    Object.assign(crypto, functions)
    syncBuiltinESMExports()
  }

  const CASES: [key: string, make: () => Promise<string>][] = [
    ['an unknown id', async () => inventedKey()],
    [
      'a known id with a wrong secret',
      async () => {
        const id = crypto.randomBytes(9)
        const random = (bytes: number) => (bytes === id.length ? id : crypto.randomBytes(bytes))
        await createKey(api, { random })
        return inventedKey({ random })
      },
    ],
    ['an expired key', async () => (await createKey(api, { expiresAt: new Date('2026-01-02Z') })).text],
    ['a revoked key', async () => (await createKey(api, { revokedAt: new Date('2026-01-02Z') })).text],
  ]
  for (const [key, make] of CASES)
    it(`api: refuses ${key} after one comparison of as many bytes as for any other key`, async () => {
      const text = await make()
      calls.length = 0
      const response = await api.agent.get('/payments').set('Authorization', `Bearer ${text}`)
      expect(calls).to.deep.equal([['createHmac'], ['timingSafeEqual', 32, 32]])
      expectProblem(response, 401, 'unauthenticated')
    })
})
