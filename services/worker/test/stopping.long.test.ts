import { createTestVhost, startScriptedServer, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import { createTestWorker, publish, startHttpWorker, type TestWorker } from './test-worker.ts'

describe('worker process that gets SIGTERM during a charge', () => {
  let payments: TestWorker
  let vhost: TestVhost
  const cleanUps: (() => unknown)[] = []

  before(async () => {
    ;[payments, vhost] = await Promise.all([createTestWorker(2), createTestVhost()])
  })
  after(async () => {
    for (const cleanUp of cleanUps) await cleanUp()
    await vhost.drop()
    await payments.drop()
  })

  // Promise 24
  it('waits for the answer to a charge, settles the payment, and exits with 0 after SIGTERM', async () => {
    const server = await startScriptedServer()
    cleanUps.push(server.close)
    const charge = Promise.withResolvers<() => void>()
    server.script = (_request, response) =>
      charge.resolve(() => response.writeHead(200).end(JSON.stringify({ status: 'approved' })))
    const worker = startHttpWorker({ payments, vhost, server })
    cleanUps.unshift(() => worker.kill('SIGKILL'))
    await worker.logged('ready', { timeoutMs: 60_000 })
    const id = await payments.pending()
    await publish(vhost, id)
    const approve = await charge.promise
    const stopped = worker.stop()
    await worker.logged('stopping')
    approve()
    expect(await stopped).to.equal(0)
    expect(await payments.row(id)).to.include({ status: 'SUCCESS', attempts: 0 })
    expect(worker.logs.map((line) => line.message)).to.include('payment settled')
  }).timeout(120_000)
})
