import { query } from '@cashflow/dev-stack'
import { createTestDatabase, eventually, startService, type TestDatabase } from '@cashflow/testing'
import { expect } from 'chai'
import { type Receiver, startReceiver } from './receiver.ts'
import { created, type Rig, SECRETS_KEY, startRig } from './rig.ts'

/** For a busy machine. */
const SLACK_MS = 10_000

describe('the webhooks service', () => {
  let database: TestDatabase
  let rig: Rig
  let receiver: Receiver

  beforeEach(async () => {
    database = await createTestDatabase()
    rig = await startRig(database)
    receiver = await startReceiver()
  })

  afterEach(async () => {
    await rig.stop()
    await receiver.stop()
  })

  const start = (env: Record<string, string> = {}) =>
    startService('webhooks', {
      ...{ DATABASE_URL: database.url, ADMIN_PORT: '0', WEBHOOK_ALLOW_PRIVATE: 'yes', SECRETS_KEY },
      ...env,
    })

  // Promise 118
  it('webhooks service: finds an event within a second without a notification, and stops when its attempts are stored', async () => {
    await rig.endpoint(receiver.url)
    const service = start()
    await service.adminUrl()
    const first = await rig.pay()
    await eventually(() => expect(receiver.ids()).to.deep.equal([created(first)]))
    await rig.delivered()
    const held: (() => void)[] = []
    receiver.answerWith((_, res) => {
      held.push(() => res.writeHead(204).end())
      return undefined
    })
    const committedAt = performance.now()
    const second = await rig.pay()
    await eventually(() => expect(held).to.have.lengthOf(1), { intervalMs: 5 })
    expect(performance.now() - committedAt).to.be.below(2_500)
    const stopped = service.stop()
    await service.logged('stopping')
    for (const answer of held) answer()
    expect(await stopped).to.equal(0)
    expect((await rig.deliveries()).map(({ payment_id, status }) => [payment_id, status])).to.deep.equal([
      [first, 'succeeded'],
      [second, 'succeeded'],
    ])
  }).timeout(60_000)

  // Promise 130
  it('webhooks service: with SANDBOX=yes each event of a payment with webhook_duplicate comes twice', async () => {
    await rig.endpoint(receiver.url)
    const payment = await rig.simulate('webhook_duplicate')
    const service = start()
    await eventually(async () => expect((await rig.deliveries())[0]).to.include({ status: 'succeeded' }))
    expect(receiver.ids()).to.deep.equal([created(payment), created(payment)])
    expect(await service.stop()).to.equal(0)
  }).timeout(60_000)

  // Promise 130
  it('webhooks service: with SANDBOX=no a payment with webhook_duplicate has deliveries like any other', async () => {
    await rig.endpoint(receiver.url)
    await rig.simulate('webhook_duplicate')
    await query(database.url, "update deployment set mode = 'live'")
    const service = start({ SANDBOX: 'no', WEBHOOK_ALLOW_PRIVATE: 'no' })
    await eventually(async () => expect((await rig.deliveries())[0]).to.include({ fault: null }))
    expect(await service.stop()).to.equal(0)
  }).timeout(60_000)

  // Promise 121
  for (const [what, signal] of [
    ['was killed', 'SIGKILL'],
    ['is frozen', 'SIGSTOP'],
  ] as const)
    it(`webhooks service: another process delivers within the lease what a process had begun that ${what}`, async () => {
      await rig.endpoint(receiver.url)
      const held: (() => void)[] = []
      receiver.answerWith((_, res) => {
        held.push(() => res.writeHead(500).end())
        return undefined
      })
      const first = start()
      const payment = await rig.pay()
      await eventually(() => expect(held).to.have.lengthOf(1))
      const begunAt = performance.now()
      first.kill(signal)
      receiver.answerWith(() => 204)
      const next = start()
      await rig.delivered()
      expect(performance.now() - begunAt).to.be.within(20_000, 30_000 + SLACK_MS)
      expect(receiver.ids()).to.deep.equal([created(payment), created(payment)])
      if (signal === 'SIGSTOP') {
        // It wakes, and gets the answer to its request: a failure that no longer counts.
        for (const answer of held) answer()
        first.kill('SIGCONT')
        await first.logged('outcome of a webhook was not stored: it is stored already, or its lease had ended')
        expect(await first.stop()).to.equal(0)
      } else await first.exited
      expect((await rig.deliveries())[0]).to.include({ status: 'succeeded', attempts: 0, last_status: 204 })
      expect(await next.stop()).to.equal(0)
    }).timeout(120_000)

  // Promise 118
  it('webhooks service: an attempt without an answer has failed after 20 seconds', async () => {
    await rig.endpoint(receiver.url)
    receiver.answerWith(() => undefined)
    const service = start()
    await rig.pay()
    await eventually(async () => expect((await rig.deliveries())[0]).to.include({ attempts: 1 }))
    const [attempt] = await rig.db.selectFrom('webhook_attempts').selectAll().execute()
    expect(attempt).to.include({ status: null, answer: null })
    expect(attempt?.error).to.match(/^timeout: /)
    expect(attempt?.duration_ms).to.be.within(19_500, 20_000 + SLACK_MS)
    service.kill('SIGKILL')
    await service.exited
  }).timeout(120_000)
})
