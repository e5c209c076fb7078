import { expect } from 'chai'
import { eventually } from '../src/index.ts'
import { type Pipeline, type Role, startPipeline } from './pipeline.ts'

const PAYMENTS = 1_000
const CONNECTIONS = 20
// A killed worker's leases run for its provider deadline and ten seconds more.
const SETTINGS = { PROVIDER_DEADLINE_MS: '1000' }
const SETTLED_WITHIN_MS = 90_000

describe('the pipeline', () => {
  let pipeline: Pipeline
  beforeEach(async () => {
    pipeline = await startPipeline({ api: 2, relay: 2, worker: 3 }, SETTINGS)
  })
  afterEach(() => pipeline.stop())

  /**
   * Posts over many connections at once. A request that a killed API did not answer is sent again, as a client would:
   * then the reference may exist.
   */
  async function postAll(onPosted: (count: number) => void = () => {}): Promise<Set<string>> {
    const ids = new Set<string>()
    let next = 0
    const connection = async () => {
      for (let number = next++; number < PAYMENTS; number = next++) {
        const { status, id } = await eventually(() => pipeline.post(`ref-${number}`))
        expect(status).to.be.oneOf([201, 409])
        ids.add(id)
        onPosted(ids.size)
      }
    }
    await Promise.all(Array.from({ length: CONNECTIONS }, connection))
    return ids
  }

  async function expectAllSettledOnce(ids: Set<string>): Promise<void> {
    const { db } = pipeline
    await eventually(
      async () => {
        const { rows } = await db.query("select count(*)::int as pending from payments where status = 'PENDING'")
        expect(rows[0].pending, 'payments still PENDING').to.equal(0)
      },
      { timeoutMs: SETTLED_WITHIN_MS, intervalMs: 100 },
    )
    const { rows } = await db.query(`
      select p.id, p.status, array_agg(e.type order by e.sequence) as history
      from payments p join payment_events e on e.payment_id = p.id group by p.id`)
    expect(rows).to.have.length(PAYMENTS)
    for (const { id, status, history } of rows) {
      const end = status === 'SUCCESS' ? 'payment.succeeded' : 'payment.failed'
      expect(history, `events of ${id}`).to.deep.equal(['payment.created', end])
      expect(ids.has(id)).to.equal(true)
    }
    await eventually(
      async () => {
        const left =
          await db.query(`select (select count(*) from outbox_messages) + (select count(*) from outbox_scheduled)
          + (select count(*) from dead_letters) as left`)
        expect(Number(left.rows[0].left), 'rows in the outbox').to.equal(0)
        expect(await pipeline.queueDepth(), 'messages in the queue').to.equal(0)
      },
      { timeoutMs: SETTLED_WITHIN_MS, intervalMs: 200 },
    )
  }

  it('settles 1,000 payments over 20 connections, each once', async () => {
    const ids = await postAll()
    expect(ids.size).to.equal(PAYMENTS)
    await expectAllSettledOnce(ids)
  }).timeout(120_000)

  for (const role of ['api', 'relay', 'worker'] as Role[]) {
    it(`settles them all, each once, when a ${role} is killed in the middle and started again`, async () => {
      let killed: Promise<unknown> | undefined
      const ids = await postAll((count) => {
        if (count !== PAYMENTS / 2) return
        const [victim] = pipeline.processes[role]
        victim?.kill('SIGKILL')
        killed = pipeline.start(role)
      })
      await killed
      expect(await pipeline.processes[role][0]?.exited).to.equal('SIGKILL')
      await expectAllSettledOnce(ids)
    }).timeout(180_000)
  }

  it('stops every service with exit code 0 on SIGTERM in the middle of its work, and goes on where it stopped', async () => {
    const ids = await postAll()
    const { api, relay, worker } = pipeline.processes
    const codes = await Promise.all([...relay, ...worker].map((service) => service.stop()))
    expect(codes).to.deep.equal([0, 0, 0, 0, 0])
    expect(await api[0]?.stop()).to.equal(0)
    await Promise.all([pipeline.start('relay'), pipeline.start('worker')])
    await expectAllSettledOnce(ids)
  }).timeout(180_000)
})
