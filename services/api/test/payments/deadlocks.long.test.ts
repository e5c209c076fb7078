import { randomUUID } from 'node:crypto'
import { pause } from '@cashflow/async'
import { createDatabase, type Database, isTransient, type PaymentInsert } from '@cashflow/db'
import { createdMessage, DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { createNotifier } from '@cashflow/outbox'
import { uuidv7 } from '@cashflow/runtime'
import {
  aPayment,
  createTestDatabase,
  query,
  recordingLogger,
  type ServiceProcess,
  startService,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import { CONNECTIONS_MAX } from '../../src/limits.ts'
import { createPaymentWriter } from '../../src/payments/create-payment.ts'

/** Two processes of the api. */
interface Apis {
  /** Stores a payment through one of them. */
  write(process: 0 | 1, merchantId: string, reference: string, key?: string): Promise<unknown>
  /** The number of times that one of them has logged a deadlock. */
  deadlocks(): number
  stop(): Promise<void>
}

const DEADLOCK = 'payments deadlocked, those with an idempotency key are written one by one for a while'
const CALM_MS = 5_000
const CROSSING_MS = 25_000
const BURST = 25
const OTHERS_EVERY_MS = 20

/**
 * A client whose keys and references cross sends 50 requests a second, in bursts of 25 to each of two processes. One gets
 * the references in the order of their keys, the other in the opposite order. A trigger makes each of its rows slow, so
 * that their batches overlap.
 */
describe('idempotency keys whose references cross', () => {
  let database: TestDatabase
  let apis: Apis
  beforeEach(async () => {
    database = await createTestDatabase()
    await query(
      database.url,
      `create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.001); return new; end';
       create trigger slow before insert on payments
         for each row when (new.reference like 'crossing%') execute function slow()`,
    )
  })
  afterEach(async () => {
    await apis.stop()
    await database.drop()
  })

  // Promise 81
  it('do not delay other merchants, and no requests without a key', async () => {
    apis = writersOf(database)
    const other = randomUUID()
    await expectUndelayed([
      (process) => apis.write(process, other, randomUUID(), randomUUID()),
      (process) => apis.write(process, other, randomUUID()),
      (process) => apis.write(process, DEFAULT_MERCHANT_ID, randomUUID()),
    ])
  }).timeout(120_000)

  // Promise 81
  it('do not delay requests without a key of the only merchant, in two api processes', async () => {
    apis = await processesOf(database)
    await expectUndelayed([(process) => apis.write(process, DEFAULT_MERCHANT_ID, randomUUID())])
  }).timeout(120_000)

  /** Expects that requests of these kinds take not much longer than without the client, by their 99th percentile. */
  async function expectUndelayed(kinds: ((process: 0 | 1) => Promise<unknown>)[]): Promise<void> {
    const calm = await Promise.all(kinds.map((kind) => p99Of(kind, CALM_MS)))
    const crossing = cross(CROSSING_MS)
    const p99s = await Promise.all(kinds.map((kind) => p99Of(kind, CROSSING_MS)))
    await crossing
    expect(apis.deadlocks(), 'deadlocks, without which this proves nothing').to.be.within(1, 6)
    for (const [index, p99] of p99s.entries()) expect(p99).to.be.below(100 + (calm[index] ?? 0))
  }

  /** The 99th percentile of the time that requests take, in milliseconds. */
  async function p99Of(send: (process: 0 | 1) => Promise<unknown>, durationMs: number): Promise<number> {
    const times: Promise<number>[] = []
    const until = performance.now() + durationMs
    while (performance.now() < until) {
      for (const process of [0, 1] as const) {
        const startedAt = performance.now()
        times.push(send(process).then(() => performance.now() - startedAt))
      }
      await pause(OTHERS_EVERY_MS)
    }
    const sorted = (await Promise.all(times)).toSorted((a, b) => a - b)
    return sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN
  }

  async function cross(durationMs: number): Promise<void> {
    const sent: Promise<unknown>[] = []
    const until = performance.now() + durationMs
    while (performance.now() < until) {
      const keys = Array.from({ length: BURST }, () => randomUUID())
      for (const [process, ordered] of [keys, keys.toReversed()].entries())
        for (const [place, key] of ordered.entries())
          sent.push(
            apis.write(process as 0 | 1, DEFAULT_MERCHANT_ID, `crossing ${process} ${10 + place} ${keys[0]}`, key),
          )
      await pause(1_000)
    }
    await Promise.all(sent)
  }
})

/** Two writers, each with sessions of its own, so that a request can be of any merchant. */
function writersOf({ url }: TestDatabase): Apis {
  const { logger, linesOf } = recordingLogger()
  const dbs: Database[] = []
  const open = () => {
    const db = createDatabase({ url, applicationName: 'api-test', poolMax: CONNECTIONS_MAX, logger })
    dbs.push(db)
    return createPaymentWriter({ db, notifier: createNotifier(db), redriveAfterMs: 60_000, logger })
  }
  const writers = [open(), open()] as const
  return {
    write(process, merchantId, reference, idempotencyKey) {
      const { payment, event } = aPayment({ merchantId, reference })
      const messages = [createdMessage(event, { messageId: uuidv7(), requestId: 'r' })]
      const created: PaymentInsert = { payment, event, idempotencyKey, requestId: 'r', messages }
      const attempt = () => writers[process].write(created, new AbortController().signal)
      // The api's queue repeats more often.
      return attempt().catch((error) => (isTransient(error) ? attempt() : Promise.reject(error)))
    },
    deadlocks: () => linesOf(DEADLOCK).length,
    async stop() {
      await Promise.all(dbs.map((db) => db.destroy()))
    },
  }
}

/** Two processes without authentication, so that all requests are of the default merchant. */
async function processesOf({ url }: TestDatabase): Promise<Apis> {
  const start = () => startService('api', { DATABASE_URL: url, PORT: '0' })
  const services: [ServiceProcess, ServiceProcess] = [start(), start()]
  const urls = await Promise.all(services.map(async (service) => String((await service.logged('listening')).url)))
  return {
    async write(process, _merchantId, reference, key) {
      const response = await fetch(`${urls[process]}/payments`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', ...(key === undefined ? {} : { 'Idempotency-Key': key }) },
        body: JSON.stringify({ amount: '1.00', currency: 'USD', reference }),
      })
      expect(response.status, await response.text()).to.be.oneOf([201, 422])
    },
    deadlocks: () => services.flatMap(({ logs }) => logs.filter(({ message }) => message === DEADLOCK)).length,
    async stop() {
      await Promise.all(services.map((service) => service.stop()))
    },
  }
}
