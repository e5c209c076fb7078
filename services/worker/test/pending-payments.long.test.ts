import { answer, createTestVhost, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import { createTestWorker, publish, startHttpWorker } from './test-worker.ts'

describe('worker process with a pending payment', () => {
  // Promise 40
  it('parks a payment that is pending for longer than PROVIDER_PENDING_MAX_MS', async () => {
    const [payments, vhost, server] = await Promise.all([createTestWorker(2), createTestVhost(), startScriptedServer()])
    server.script = answer(202, { status: 'pending' })
    const worker = startHttpWorker({ payments, vhost, server }, { PROVIDER_PENDING_MAX_MS: '1000' })
    try {
      const id = await payments.pending()
      await payments.set(id, "provider_pending_since = now() - interval '2 seconds'")
      await publish(vhost, id)
      expect(await worker.logged('payment parked')).to.deep.include({
        payment_id: id,
        reason: 'the provider has not decided within PROVIDER_PENDING_MAX_MS (1000)',
      })
      expect(await worker.stop()).to.equal(0)
    } finally {
      worker.kill('SIGKILL')
      await server.close()
      await vhost.drop()
      await payments.drop()
    }
  })
})
