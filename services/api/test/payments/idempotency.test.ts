import { randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { bodyWith, expectCreated, expectReplayOf, postWithKey, stored } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

describe('Idempotency-Key', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  const send = (key: string, body: string) => postWithKey(api, key, body)

  // Promise 80
  it('creates one payment for 50 twins at the same time: 50 × 201 with one body, 49 of them replays', async () => {
    const [key, body] = [randomUUID(), bodyWith()]
    const before = await stored(api)
    const responses = await Promise.all(Array.from({ length: 50 }, () => send(key, body)))
    expect(responses.map(({ status }) => status)).to.deep.equal(responses.map(() => 201))
    expect(new Set(responses.map(({ text }) => text))).to.have.property('size', 1)
    expect(responses.filter(({ headers }) => headers['idempotent-replayed'] === 'true')).to.have.length(49)
    expect(await stored(api)).to.deep.equal({
      payments: before.payments + 1,
      events: before.events + 1,
      messages: before.messages + 1,
    })
  })

  // Promise 80
  for (const [what, text] of [
    ['of the insert that finds its key taken', 'with "given"'],
    ['with the payment of the key', 'with "logged"'],
  ] as const)
    it(`answers a retry with the same 201 when PostgreSQL's answer ${what} is lost`, async () => {
      const [key, body] = [randomUUID(), bodyWith()]
      const first = expectCreated(await send(key, body))
      const lost = api.proxy.lost
      api.proxy.loseAnswerTo(text)
      expectReplayOf(first, await send(key, body))
      expect(api.proxy.lost).to.equal(lost + 1)
    })
})
