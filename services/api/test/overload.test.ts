import { request } from 'node:http'
import { eventually, startStopwatch } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { bodyWith, expectProblem, newReference, post } from './requests.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

const WRITES_MAX = 8
const WAITING_MAX = 3
const ID = '019a0000-0000-7000-8000-000000000000'

describe('Overloaded, the API', () => {
  let api: ApiUnderTest
  beforeEach(async () => {
    api = await startApi({ writesMax: WRITES_MAX, queueMax: WAITING_MAX })
  })
  afterEach(() => api.stop())

  /** While every request that may write waits for a lock in PostgreSQL. */
  async function whileAllAreBusy(test: () => Promise<void>): Promise<void> {
    let busy: ReturnType<typeof post>[] = []
    await api.db.transaction().execute(async (tx) => {
      await sql`lock table outbox_messages in exclusive mode`.execute(tx)
      busy = Array.from({ length: WRITES_MAX }, () => post(api, bodyWith()))
      await eventually(async () => {
        const { rows } = await sql`select 1 from pg_locks l join pg_class c on c.oid = l.relation
          where not l.granted and c.relname = 'outbox_messages'`.execute(api.db)
        expect(rows).not.to.be.empty
        expect(api.writes.running).to.equal(WRITES_MAX)
      })
      await test()
    })
    for (const response of await Promise.all(busy)) expect(response.status).to.equal(201)
  }

  const untilWaiting = (count: number) => eventually(() => expect(api.writes.waiting).to.equal(count))
  const post201 = async (reference: string) => expect((await post(api, bodyWith({ reference }))).status).to.equal(201)

  it('answers 503 at once to whoever it cannot let wait, still reads, stays healthy, and stores all that waited', async () => {
    const references = Array.from({ length: WAITING_MAX }, newReference)
    let waiting: Promise<unknown>[] = []
    await whileAllAreBusy(async () => {
      waiting = references.map(post201)
      await untilWaiting(WAITING_MAX)
      const refused = await post(api, bodyWith())
      expectProblem(refused, 503, 'overloaded')
      expect(refused.headers['retry-after']).to.match(/^[1-9][0-9]*$/)
      const stopwatch = startStopwatch()
      for (let i = 0; i < 4; i++) expectProblem(await post(api, bodyWith()), 503, 'overloaded')
      expect(stopwatch.stop()).to.be.lessThan(4_000) // Those that waited would take 5 s each.
      expect((await api.agent.get(`/payments/${ID}`)).status).to.equal(404)
      expect((await api.agent.get('/health')).status).to.equal(200)
    })
    await Promise.all(waiting)
    expect(api.logs.filter(({ level }) => level !== 'info').map(({ message }) => message)).to.deep.equal([
      'overloaded, refusing requests',
      'no longer overloaded',
    ])
  })

  it('drops a request whose client has gone while it waited', async () => {
    const [gone, kept] = [newReference(), newReference()]
    let waiting: Promise<unknown> | undefined
    await whileAllAreBusy(async () => {
      const leaving = request(`${api.http.url}/payments`, { method: 'POST', agent: false })
      leaving.on('error', () => {})
      leaving.setHeader('Content-Type', 'application/json')
      leaving.end(bodyWith({ reference: gone }))
      waiting = post201(kept)
      await untilWaiting(2)
      leaving.destroy()
      await untilWaiting(1)
    })
    await waiting
    const payments = await api.db.selectFrom('payments').select('reference').execute()
    const references = payments.map(({ reference }) => reference)
    expect(references).to.include(kept).and.not.to.include(gone)
    expect(api.logs.filter(({ level }) => level === 'error')).to.deep.equal([])
  })
})
