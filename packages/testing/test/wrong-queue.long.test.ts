import { expect } from 'chai'
import { eventually, type Pipeline, startPipeline } from '../src/index.ts'

describe('worker whose MQ_QUEUE differs from the relays’', function () {
  this.timeout(120_000)
  let pipeline: Pipeline
  before(async () => {
    const settings = { REDRIVE_AFTER_MS: '1000', RECONCILE_INTERVAL_MS: '100' }
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 0 }, settings)
  })
  after(() => pipeline.stop())

  const status = async (id: string) =>
    (await pipeline.db.query('select status from payments where id = $1', [id])).rows[0]?.status

  it('logs repeatedly that payments are overdue, and loses none: they settle with the right setting', async () => {
    const worker = await pipeline.start('worker', { MQ_QUEUE: 'paymets' })
    const { id } = await pipeline.post('REF-1')
    await eventually(() =>
      expect(worker.logs.filter(({ message }) => message === 'overdue payments redriven')).to.have.length.above(1),
    )
    expect(await status(id)).to.equal('PENDING')
    await eventually(async () => expect(await pipeline.queueDepth()).to.be.above(0))
    await worker.stop()
    await pipeline.start('worker')
    await eventually(async () => expect(await status(id)).to.be.oneOf(['SUCCESS', 'FAILED']))
  })
})
