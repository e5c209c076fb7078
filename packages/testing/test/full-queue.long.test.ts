import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'chai'
import { eventually } from '../src/index.ts'
import { type Pipeline, startPipeline } from '../src/pipeline.ts'
import { createTestVhost } from '../src/test-vhost.ts'

const PAYMENTS = 40
const SETTINGS = { REDRIVE_AFTER_MS: '1000', RECONCILE_INTERVAL_MS: '100', WORKER_PREFETCH: '1' }

interface Waiting {
  inLanes: number
  moved: number
  redrives: number
  settled: number
}

describe('pipeline with a full queue', () => {
  let pipeline: Pipeline
  afterEach(() => pipeline.stop())

  // Promise 13
  it('redrives no payment while its queue is full and its message is in the outbox, and settles all afterwards', async () => {
    const vhost = await createTestVhost()
    await vhost.management.request('PUT', `/policies/${vhost.name}/short`, {
      pattern: '^payments$',
      'apply-to': 'queues',
      definition: { 'max-length': 2 },
    })
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 0 }, SETTINGS, { vhost })
    let outcomes = true
    const newsOfOthers = (async () => {
      while (outcomes) {
        await pipeline.db.query(
          `insert into outbox_messages (lane, message_id, key, topic, payload, mandatory)
           select 0, $1, 'k', 'payment.succeeded', '{}', false where pg_current_xact_id() is not null`,
          [randomUUID()],
        )
        await eventually(async () => {
          const { rows } = await pipeline.db.query(`select from outbox_messages where topic = 'payment.succeeded'`)
          expect(rows).to.have.length(0)
        })
      }
    })()
    try {
      const look = async (): Promise<Waiting> => {
        const { rows } = await pipeline.db.query(`
          select (select count(*)::int from outbox_messages where topic = 'payment.created') as "inLanes",
            (select count(*)::int from outbox_scheduled where refused and topic = 'payment.created') as moved,
            (select coalesce(sum(redrives), 0)::int from payments) as redrives,
            (select count(*)::int from payments where status <> 'PENDING') as settled`)
        return rows[0]
      }
      // A quorum queue accepts more than its limit in one burst. So it is filled first, one payment after the other.
      await eventually(async () => {
        await pipeline.post(randomUUID())
        expect((await look()).moved).to.be.above(0)
      })
      await Promise.all(Array.from({ length: PAYMENTS }, (_, number) => pipeline.post(`ref-${number}`)))
      // Most messages have been moved out of their lanes, and all payments are overdue.
      await eventually(async () => {
        const { rows } = await pipeline.db.query('select from payments where redrive_at > now()')
        expect(rows).to.have.length(0)
        expect((await look()).moved).to.be.above(PAYMENTS / 2)
      })
      const worker = await pipeline.start('worker', { PROVIDER_DELAY_MS: '200' })
      await worker.logged('payments are overdue because messages wait in the outbox, none is redriven')
      const redriven = () => worker.logs.filter(({ message }) => message === 'overdue payments redriven')
      for (;;) {
        // A claim resets `redrives` to 0, so the log is checked too. It is read first: the messages may leave after the look.
        const logged = redriven()
        const at = await look()
        if (at.inLanes + at.moved <= 2) break
        expect(at.redrives, JSON.stringify(at)).to.equal(0)
        expect(logged).to.deep.equal([])
        await sleep(20)
      }
    } finally {
      outcomes = false
      await newsOfOthers
    }
    await eventually(
      async () => {
        const { rows } = await pipeline.db.query(`select from payments where status = 'PENDING'`)
        expect(rows).to.have.length(0)
      },
      { timeoutMs: 60_000, intervalMs: 100 },
    )
  }).timeout(180_000)
})
