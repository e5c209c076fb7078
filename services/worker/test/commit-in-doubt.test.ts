import { randomUUID } from 'node:crypto'
import { createDatabase, type Tables } from '@cashflow/db'
import { startTcpProxy, type TcpProxy } from '@cashflow/testing'
import { expect } from 'chai'
import type { Kysely } from 'kysely'
import { createBatches } from '../src/batches.ts'
import type { Processed } from '../src/outcomes.ts'
import { processPayment } from '../src/process-payment.ts'
import type { ProviderAnswer } from '../src/provider/provider.ts'
import { createTestWorker, type TestWorker } from './test-worker.ts'

const UNKNOWN: ProviderAnswer = { outcome: 'unknown', reason: 'HTTP 503' }
const PENDING: ProviderAnswer = { outcome: 'pending' }
const REFUSED: ProviderAnswer = { outcome: 'refused', reason: 'HTTP 400', othersAnswered: true }

describe('worker after a COMMIT without an answer', () => {
  let payments: TestWorker
  let proxy: TcpProxy
  let db: Kysely<Tables>
  before(async () => {
    payments = await createTestWorker(2)
    proxy = await startTcpProxy(payments.database.url)
    db = createDatabase({ url: proxy.url, applicationName: 'doubtful', poolMax: 1, logger: payments.logger })
  })
  after(async () => {
    await db.destroy()
    await proxy.stop()
    await payments.drop()
  })
  beforeEach(() => {
    payments.lines.length = 0
  })

  const count = async (table: 'outbox_messages' | 'outbox_scheduled' | 'dead_letters', key: string) =>
    (await payments.db.selectFrom(table).select('key').where('key', '=', key).execute()).length

  async function process(id: string, answer: ProviderAnswer, attemptsMax = 10): Promise<Processed> {
    const before = proxy.lost
    // COMMIT follows the statement that stores an outcome in the same write.
    proxy.loseAnswerTo(answer.outcome === 'approved' ? 'with "settling"' : 'commit')
    const shared = { db, providerDeadlineMs: 60_000, redriveAfterMs: 60_000, attemptsMax }
    const options = { ...shared, batches: createBatches(shared), logger: payments.logger, settled() {} }
    const charge = async () => answer
    const message = { paymentId: id, messageId: 'm-1', requestId: 'r-1' }
    const signal = new AbortController().signal
    const processed = await processPayment(message, { ...options, charge, random: () => 0 }, signal)
    expect(proxy.lost).to.equal(before + 1)
    expect(payments.logged())
      .to.include('database away, trying again')
      .and.not.include('the claim was lost, its result is not stored')
    return processed
  }

  for (const [answer, processed, attempts, line] of [
    [UNKNOWN, 'retry_scheduled', 1, 'provider gave no answer, the payment is tried again'],
    [{ outcome: 'not_attempted' }, 'released', 0, 'provider was not asked, the payment waits'],
    [{ outcome: 'rejected', reason: 'HTTP 401' }, 'released', 0, 'provider refused the request, the payment waits'],
    [PENDING, 'pending', 0, 'provider has not decided yet, it is asked again'],
    [REFUSED, 'refused', 0, 'provider refused the request, the payment waits'],
  ] as const) {
    // Promise 17
    it(`stores once that a payment is ${processed} after the answer ${answer.outcome}`, async () => {
      const id = await payments.pending()
      expect(await process(id, answer)).to.equal(processed)
      expect(await payments.row(id)).to.include({ status: 'PENDING', attempts, claim_token: null, parked_at: null })
      expect(await count('outbox_scheduled', id)).to.equal(1)
      expect(payments.lines.at(-1)?.message).to.equal(line)
      expect(payments.lines.at(-1)?.fields.delay_ms).to.be.a('number')
      const { refusals, provider_pending_since } = await payments.row(id)
      expect(refusals).to.equal(answer === REFUSED ? 1 : 0)
      expect(provider_pending_since !== null).to.equal(answer === PENDING)
    })
  }

  for (const [answer, assignments] of [
    [REFUSED, 'refusals = 2'],
    [PENDING, "attempts = 3, provider_pending_since = now() - interval '100 hours'"],
  ] as const) {
    // Promise 38
    it(`parks a payment once after a last answer that is ${answer.outcome}, and logs that`, async () => {
      const id = await payments.pending()
      await payments.set(id, assignments)
      expect(await process(id, answer)).to.equal('parked')
      expect((await payments.row(id)).parked_at).to.be.instanceOf(Date)
      expect(await count('dead_letters', id)).to.equal(1)
      expect(await count('outbox_scheduled', id)).to.equal(0)
      expect(payments.lines.at(-1)?.message).to.equal('payment parked')
    })
  }

  for (const [when, assignments] of [
    ['by its last attempt', 'attempts = 2'],
    ['by its last lease', `attempts = 2, claim_token = '${randomUUID()}', lease_until = now()`],
  ] as const) {
    // Promise 17
    it(`parks a payment once ${when}, and logs that`, async () => {
      const id = await payments.pending()
      await payments.set(id, assignments)
      expect(await process(id, UNKNOWN, 3)).to.equal('parked')
      const { parked_at, attempts } = await payments.row(id)
      expect(parked_at).to.be.instanceOf(Date)
      expect(attempts).to.equal(3)
      expect(await count('dead_letters', id)).to.equal(1)
      expect(await count('outbox_scheduled', id)).to.equal(0)
      expect(payments.lines.at(-1)).to.deep.include({ message: 'payment parked' })
      expect(payments.lines.at(-1)?.fields.attempts).to.equal(3)
    })
  }

  it('settles a payment once', async () => {
    const id = await payments.pending()
    expect(await process(id, { outcome: 'approved' })).to.equal('settled')
    expect(await payments.row(id)).to.include({ status: 'SUCCESS', attempts: 0 })
    expect(await count('outbox_messages', id)).to.equal(1)
  })
})
