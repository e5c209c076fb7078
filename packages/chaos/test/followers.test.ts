import { answer, eventually, type Script, type ScriptedServer, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import { createFollowers, type Followers } from '../src/followers.ts'
import type { Merchant } from '../src/merchants.ts'

const unauthenticated = answer(401, { status: 401, code: 'unauthenticated', retryable: false, detail: '' })

describe('followers', () => {
  let servers: ScriptedServer[]
  let merchant: Merchant
  let followers: Followers

  beforeEach(async () => {
    servers = [await startScriptedServer(), await startScriptedServer()]
    merchant = { id: 'one', key: { id: 'old', secret: 'old', uses: [] } }
    const apiUrls = servers.map(({ url }) => new URL(url).origin)
    followers = createFollowers({ apiUrls, merchants: [merchant], seed: 1 })
  })
  afterEach(async () => {
    await followers.stop()
    await Promise.all(servers.map((server) => server.close()))
  })

  const script = (act: Script) => {
    for (const server of servers) server.script = act
  }
  const pages = () => followers.feeds[0]?.pages ?? []
  const whole = () => followers.feeds[0]?.whole

  /** Has one event on each page. `count` is the number of events that are stored. */
  const feed =
    (count: number): Script =>
    (request, response) => {
      const place = Number(new URL(request.path, 'http://api').searchParams.get('after') ?? 0)
      const isEnd = place >= count
      const data = isEnd ? [] : [{ id: `evt_${place}`, payment: null }]
      const next_cursor = String(isEnd ? place : place + 1)
      const page = { data, has_more: place + 1 < count, next_cursor, delayed_ms: 0 }
      answer(200, page)(request, response)
    }

  it('followers that are killed begin again after the stored cursor, through any API', async () => {
    script(feed(1_000_000))
    followers.start()
    await eventually(() => expect(pages().filter(({ isStored }) => !isStored)).to.have.length.above(10))
    let place = 0
    for (const { ids, isStored } of pages()) {
      expect(ids).to.eql([`evt_${place}`])
      if (isStored) place++
    }
    for (const server of servers) expect(server.seen).not.to.be.empty
  })

  it('followers go on with the new key of their merchant, and record the refusal of the old one', async () => {
    const old = merchant.key
    const well = feed(1_000_000)
    script((request, response) =>
      (request.headers.authorization === 'Bearer old' ? unauthenticated : well)(request, response),
    )
    followers.start()
    await eventually(() => expect(followers.feeds[0]?.failures).to.include(401))
    expect(old.uses[0]?.status).to.equal(401)
    merchant.key = { id: 'new', secret: 'new', uses: [] }
    await eventually(() => expect(pages()).to.have.length.above(3))
    expect(merchant.key.uses.length).to.be.above(3)
  })

  it('followers read the whole feed at the end, and stop when they have been shown its last event', async () => {
    script(feed(30))
    followers.start()
    await followers.finish()
    expect(whole()).to.eql(Array.from({ length: 30 }, (_, place) => `evt_${place}`))
    const stored = pages().filter(({ isStored }) => isStored)
    expect(stored.flatMap(({ ids }) => ids)).to.eql(whole())
    const { length } = servers.flatMap(({ seen }) => seen)
    await followers.stop()
    expect(servers.flatMap(({ seen }) => seen)).to.have.length(length)
  })

  it('followers wait for events that are stored and not shown yet', async () => {
    let turns = 0
    const end = feed(2)
    script((request, response) => {
      const late = { data: [], has_more: false, next_cursor: '0', delayed_ms: 5 }
      const act = turns++ < 1 ? answer(200, late) : end
      act(request, response)
    })
    await followers.finish({ patienceMs: 3_000 })
    expect(whole()).to.eql(['evt_0', 'evt_1'])
  })

  it('followers leave out a feed that cannot be read at the end', async () => {
    script(answer(503, { status: 503, code: 'overloaded', retryable: true, detail: '' }))
    await followers.finish({ patienceMs: 500 })
    expect(whole()).to.equal(undefined)
  })
})
