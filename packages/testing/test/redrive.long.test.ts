import { expect } from 'chai'
import { eventually } from '../src/index.ts'
import { type Pipeline, startPipeline } from '../src/pipeline.ts'

const PAYMENTS = 300
const FAST = { REDRIVE_AFTER_MS: '1500', RECONCILE_INTERVAL_MS: '200' }

describe('redrive', () => {
  let pipeline: Pipeline
  afterEach(() => pipeline.stop())

  async function expectAllSettledOnce(count: number): Promise<void> {
    await eventually(
      async () => {
        const { rows } = await pipeline.db.query(`
          select count(*)::int as payments, count(*) filter (where status = 'PENDING')::int as pending,
            (select count(*)::int from payment_events where sequence > 1) as ends,
            (select count(*)::int from dead_letters) as letters from payments`)
        expect(rows[0]).to.deep.equal({ payments: count, pending: 0, ends: count, letters: 0 })
      },
      { timeoutMs: 60_000, intervalMs: 100 },
    )
  }
  const published = () =>
    eventually(async () => {
      const { rows } = await pipeline.db.query('select count(*)::int as waiting from outbox_messages')
      expect(rows[0].waiting).to.equal(0)
    })
  const redriven = () =>
    pipeline.processes.worker
      .flatMap(({ logs }) => logs.filter(({ message }) => message === 'overdue payments redriven'))
      .reduce((sum, line) => sum + Number(line.redriven), 0)

  // Promise 13
  it('publishes the message of each payment again when the whole queue is lost', async () => {
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 0 }, FAST)
    await Promise.all(Array.from({ length: 50 }, (_, number) => pipeline.post(`ref-${number}`)))
    await published()
    await pipeline.purge()
    await Promise.all([pipeline.start('worker'), pipeline.start('worker')])
    await expectAllSettledOnce(50)
    expect(redriven()).to.be.at.least(50)
  }).timeout(180_000)

  // Promise 13
  it('publishes lost messages again under load, and settles every payment once', async () => {
    pipeline = await startPipeline({ api: 1, relay: 2, worker: 2 }, { ...FAST, WORKER_PREFETCH: '5' })
    let next = 0
    const postUntil = (count: number) => {
      const connection = async () => {
        for (let number = next++; number < count; number = next++) {
          expect((await pipeline.post(`ref-${number}`)).status).to.equal(201)
          if (number % 60 === 59) await pipeline.purge()
        }
        next = Math.min(next, count)
      }
      return Promise.all(Array.from({ length: 10 }, connection))
    }
    // With frozen workers, the queue contains messages to lose, even on a slow machine.
    for (const { kill } of pipeline.processes.worker) kill('SIGSTOP')
    await postUntil(100)
    await published()
    await pipeline.purge()
    for (const { kill } of pipeline.processes.worker) kill('SIGCONT')
    await postUntil(PAYMENTS)
    await expectAllSettledOnce(PAYMENTS)
    expect(redriven()).to.be.at.least(90)
  }).timeout(180_000)

  // Promise 14
  it('redrives the payment of a message that exceeded the delivery limit immediately, without a dead letter', async () => {
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 0 }, { RECONCILE_INTERVAL_MS: '200' })
    await pipeline.start('worker').then((worker) => worker.stop()) // Declares the queues.
    await pipeline.post('limit-exceeded')
    await eventually(
      async () => {
        await pipeline.requeueOne()
        expect(await pipeline.queueDepth('payments.dead')).to.equal(1)
      },
      { timeoutMs: 60_000, intervalMs: 0 },
    )
    const worker = await pipeline.start('worker')
    expect(await worker.logged('message reached the dead letter queue, its payment is redriven if needed')).to.include({
      redrive: 'advanced',
    })
    await expectAllSettledOnce(1)
    await eventually(async () => expect(await pipeline.queueDepth('payments.dead')).to.equal(0))
  }).timeout(180_000)
})
