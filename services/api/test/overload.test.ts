import { request } from 'node:http'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { REQUESTS_MAX } from '../src/connections.ts'
import { bodyWith, expectProblem, newReference, post } from './requests.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

const WAITING_MAX = 3
const ID = '019a0000-0000-7000-8000-000000000000'

describe('Overloaded, the API', () => {
  let api: ApiUnderTest
  beforeEach(async () => {
    api = await startApi({ queueMax: WAITING_MAX })
  })
  afterEach(() => api.stop())

  /** While every request that may use PostgreSQL waits for a lock there. */
  async function whileAllAreBusy(test: () => Promise<void>): Promise<void> {
    let busy: ReturnType<typeof post>[] = []
    await api.db.transaction().execute(async (tx) => {
      await sql`lock table outbox_messages in exclusive mode`.execute(tx)
      busy = Array.from({ length: REQUESTS_MAX }, () => post(api, bodyWith()))
      await eventually(async () => {
        const { rows } = await sql`select 1 from pg_locks l join pg_class c on c.oid = l.relation
          where not l.granted and c.relname = 'outbox_messages'`.execute(api.db)
        expect(rows).to.have.length(REQUESTS_MAX)
      })
      await test()
    })
    for (const response of await Promise.all(busy)) expect(response.status).to.equal(201)
  }

  const untilWaiting = (count: number) => eventually(() => expect(api.queue.waiting).to.equal(count))
  const post201 = async (reference: string) => expect((await post(api, bodyWith({ reference }))).status).to.equal(201)

  it('answers 503 at once to whoever it cannot let wait, stays healthy, and stores all that waited', async () => {
    const references = Array.from({ length: WAITING_MAX }, newReference)
    let waiting: Promise<unknown>[] = []
    await whileAllAreBusy(async () => {
      waiting = references.map(post201)
      await untilWaiting(WAITING_MAX)
      const refused = await api.agent.get(`/payments/${ID}`)
      expectProblem(refused, 503, 'overloaded')
      expect(refused.headers['retry-after']).to.match(/^[1-9][0-9]*$/)
      const startedAt = performance.now()
      for (let i = 0; i < 5; i++) expectProblem(await post(api, bodyWith()), 503, 'overloaded')
      expect(performance.now() - startedAt).to.be.lessThan(4_000) // Five that waited would take 5 s each.
      expect((await api.agent.get('/health')).status).to.equal(200)
    })
    await Promise.all(waiting)
    expect((await api.agent.get(`/payments/${ID}`)).status).to.equal(404)
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
