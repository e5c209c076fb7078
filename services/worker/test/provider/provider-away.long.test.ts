import {
  answer,
  createTestVhost,
  eventually,
  type ScriptedServer,
  type ServiceProcess,
  startScriptedServer,
  startStopwatch,
  type TestVhost,
} from '@cashflow/testing'
import { expect } from 'chai'
import { createTestWorker, publish, startHttpWorker, type TestWorker } from '../test-worker.ts'

describe('worker whose provider is away', () => {
  let payments: TestWorker
  let vhost: TestVhost
  let server: ScriptedServer
  let worker: ServiceProcess

  before(async () => {
    ;[payments, vhost, server] = await Promise.all([createTestWorker(4), createTestVhost(), startScriptedServer()])
  })
  after(async () => {
    worker.kill('SIGKILL')
    await server.close()
    await vhost.drop()
    await payments.drop()
  })

  async function startWorker(): Promise<void> {
    const settings = { PROVIDER_FAILURES_MAX: '2', PROVIDER_OPEN_MS: '60000' }
    worker = startHttpWorker({ payments, vhost, server }, settings)
    await worker.logged('ready')
  }

  async function createAndPublish(): Promise<string> {
    const id = await payments.pending()
    await publish(vhost, id)
    return id
  }
  const attempts = async () =>
    (await payments.db.selectFrom('payments').select(['status', 'attempts', 'claim_token']).execute()).filter(
      (row) => row.attempts > 0 || row.claim_token,
    )

  // Promise 19
  it('claims no further payments, stops within 5 s of SIGTERM, and leaves them to the next worker', async () => {
    server.script = answer(503)
    await startWorker()
    await createAndPublish()
    await createAndPublish()
    await worker.logged('provider is away, nothing is claimed')
    const waiting = await Promise.all(Array.from({ length: 5 }, createAndPublish))
    const unacknowledged = async () => {
      const queue = await vhost.management.request('GET', `/queues/${vhost.name}/payments`)
      return (queue as { messages_unacknowledged?: number }).messages_unacknowledged
    }
    await eventually(async () => expect(await unacknowledged()).to.equal(5))
    expect(await attempts()).to.have.length(2)
    expect(server.seen).to.have.length(2)

    const stopwatch = startStopwatch()
    expect(await worker.stop()).to.equal(0)
    expect(stopwatch.stop()).to.be.below(5_000)
    expect(await attempts()).to.have.length(2)

    server.script = answer(200, { status: 'approved' })
    await startWorker()
    await eventually(async () => {
      const rows = await payments.db.selectFrom('payments').select('status').where('id', 'in', waiting).execute()
      expect(rows.map(({ status }) => status)).to.deep.equal(waiting.map(() => 'SUCCESS'))
    })
    expect(await worker.stop()).to.equal(0)
  }).timeout(180_000)
})
