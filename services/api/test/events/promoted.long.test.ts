import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { eventually, openClient, type ReplicatedPostgres, startReplicatedPostgres } from '@cashflow/testing'
import { expect } from 'chai'
import { bodyWith, post } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

const BEFORE = 8
/** Events that readers have seen, and that the standby does not have. */
const LOST = 20
/** More than `LOST`: the transaction ids of these events reach beyond those of the lost ones. */
const AFTER = 40

describe('GET /events after a promotion', function () {
  this.timeout(180_000)
  let postgres: ReplicatedPostgres
  let api: ApiUnderTest
  before(async () => {
    postgres = await startReplicatedPostgres()
    const { url, stop: drop } = postgres
    api = await startApi({ given: { name: 'payments', url, drop } })
  })
  after(() => api?.stop())

  async function pay(count: number): Promise<string[]> {
    const ids: string[] = []
    while (ids.length < count) {
      const { status, body } = await post(api, bodyWith())
      expect(status).to.equal(201)
      ids.push(body.id)
    }
    return ids
  }

  /** Stores events as payments whose COMMIT did not wait for the standby, and that a failover therefore loses. */
  async function storeUnreplicated(count: number): Promise<void> {
    const client = await openClient(postgres.url)
    await client.query('set synchronous_commit = local')
    for (let stored = 0; stored < count; stored++)
      await client.query(
        `insert into payment_events (payment_id, merchant_id, sequence, type, actor, created_at)
        values (gen_random_uuid(), $1, 1, 'payment.created', 'api', now())`,
        [DEFAULT_MERCHANT_ID],
      )
    await client.end()
  }

  /** A client that keeps its cursor, and the payments of all events that it was shown. */
  function createReader() {
    let cursor = ''
    const reader = {
      seen: [] as string[],
      /** Reads up to `pages` pages. */
      async read({ limit = 100, pages = Number.POSITIVE_INFINITY } = {}): Promise<void> {
        for (let hasMore = true; hasMore && pages > 0; pages--) {
          const { status, body } = await api.agent.get(`/events?limit=${limit}${cursor && `&after=${cursor}`}`)
          expect(status, JSON.stringify(body)).to.equal(200)
          for (const { id } of body.data) reader.seen.push(id.slice('evt_'.length, -'_1'.length))
          cursor = body.next_cursor
          hasMore = body.has_more
        }
      },
    }
    return reader
  }

  /** Reads on until the events of these payments were shown, and expects no others. Autovacuum may delay events. */
  const expectNext = async (reader: ReturnType<typeof createReader>, ids: readonly string[]) => {
    const count = reader.seen.length
    await eventually(async () => {
      await reader.read()
      expect(reader.seen.slice(count)).to.deep.equal(ids)
    })
  }

  // Promise 88
  it('GET /events: cursors from before a promotion skip no event, although new events have the transaction ids of lost ones', async () => {
    const before = await pay(BEFORE)
    const [early, ahead] = [createReader(), createReader()]
    await eventually(async () => {
      await early.read({ limit: 3 - early.seen.length, pages: 1 })
      expect(early.seen).to.deep.equal(before.slice(0, 3))
    })
    postgres.freezeReplication()
    await storeUnreplicated(LOST)
    await eventually(async () => {
      await ahead.read()
      expect(ahead.seen).to.have.length(BEFORE + LOST)
    })

    await postgres.failOver((standbyUrl) => api.proxy.redirect(standbyUrl))
    const after = await eventually(() => pay(1), { timeoutMs: 60_000 })
    after.push(...(await pay(AFTER - 1)))
    // Cursors of an earlier timeline repeat ten minutes, and here all events are younger.
    for (const reader of [early, ahead]) await expectNext(reader, [...before, ...after])
    const later = await pay(5)
    for (const reader of [early, ahead]) await expectNext(reader, later)
  })
})
