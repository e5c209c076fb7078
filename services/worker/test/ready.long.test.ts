import { createTestVhost, type ServiceProcess, startService, type TestVhost } from '@cashflow/testing'
import { expect } from 'chai'
import { createTestWorker, type TestWorker } from './test-worker.ts'

const PATIENTLY = { timeoutMs: 90_000 }

describe('worker process', function () {
  this.timeout(180_000)
  let payments: TestWorker
  let vhost: TestVhost
  let worker: ServiceProcess
  beforeEach(async () => {
    ;[payments, vhost] = await Promise.all([createTestWorker(2), createTestVhost()])
  })
  afterEach(async () => {
    worker.kill('SIGKILL')
    await worker.exited
    await vhost.drop()
    await payments.drop()
  })

  // Promise 60
  it('worker is not ready before RabbitMQ accepts its queues, and logs what RabbitMQ refuses', async () => {
    const other = { durable: true, arguments: { 'x-queue-type': 'quorum' } }
    await vhost.management.request('PUT', `/queues/${vhost.name}/payments`, other)
    worker = startService('worker', { DATABASE_URL: payments.database.url, RABBITMQ_URL: vhost.url })
    const refused = await worker.logged('RabbitMQ refuses a request of this channel', PATIENTLY)
    expect(refused).to.include({ level: 'error' })
    expect(refused.reason).to.match(/inequivalent arg 'x-.*' for queue 'payments'/)
    await vhost.management.request('DELETE', `/queues/${vhost.name}/payments`)
    await worker.logged('ready', PATIENTLY)
    const lines = worker.logs.map(({ message }) => message)
    expect(lines.indexOf('ready')).to.be.above(lines.indexOf('RabbitMQ refuses a request of this channel'))
    expect(await worker.stop()).to.equal(0)
  })
})
