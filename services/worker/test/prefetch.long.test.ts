import { pause } from '@cashflow/async'
import { answer, createTestVhost, eventually, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import { createTestWorker, publish, startHttpWorker } from './test-worker.ts'

const APPROVED = answer(200, { status: 'approved' })

describe('worker with WORKER_PREFETCH=1', () => {
  // Promise 23
  it('charges one payment at a time, in the order of the deliveries', async () => {
    const [payments, vhost, server] = await Promise.all([createTestWorker(2), createTestVhost(), startScriptedServer()])
    const published = Promise.withResolvers<void>()
    const charged: string[] = []
    let atOnce = 0
    let atOnceMax = 0
    server.script = async (request, response) => {
      charged.push(JSON.parse(request.body).payment_id)
      atOnce += 1
      atOnceMax = Math.max(atOnceMax, atOnce)
      await published.promise
      await pause(50) // Gives a second charge the time to arrive.
      atOnce -= 1
      APPROVED(request, response)
    }
    const worker = startHttpWorker({ payments, vhost, server }, { WORKER_PREFETCH: '1' })
    try {
      const ids = await Promise.all(Array.from({ length: 6 }, () => payments.pending()))
      await worker.logged('ready', { timeoutMs: 60_000 })
      for (const id of ids) await publish(vhost, id)
      published.resolve()
      await eventually(() => expect(charged).to.deep.equal(ids))
      expect(atOnceMax).to.equal(1)
    } finally {
      worker.kill('SIGKILL')
      await server.close()
      await vhost.drop()
      await payments.drop()
    }
  }).timeout(120_000)
})
