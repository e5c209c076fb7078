import { setTimeout as sleep } from 'node:timers/promises'
import { defined } from '@cashflow/async'
import { requeue } from '@cashflow/db/operator'
import { answer, eventually, OPERATOR, type Script, type ScriptedServer, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import { createHttpProvider } from '../src/provider/http-provider.ts'
import { createTestHandler, createTestWorker, delivery, type TestWorker } from './test-worker.ts'

const OPEN_MS = 10_000
const GOOD_EVERY_MS = 20
const REFUSES = 'provider refuses our requests, nothing is claimed'
const WAITS = 'provider refused the request, the payment waits'

describe('worker with payments that the provider refuses', () => {
  let payments: TestWorker
  let server: ScriptedServer
  let handle: ReturnType<typeof createTestHandler>['handle']
  const bad = new Set<string>()

  before(async () => {
    payments = await createTestWorker(10)
  })
  after(() => payments.drop())
  beforeEach(async () => {
    payments.lines.length = 0
    bad.clear()
    server = await startScriptedServer()
    server.script = refuseBad
    handle = createWorker()
  })
  afterEach(() => server.close())

  const refuseBad: Script = (request, response) => {
    const { reference } = JSON.parse(request.body) as { reference: string }
    answer(bad.has(reference) ? 400 : 200, { status: 'approved' })(request, response)
  }

  const createWorker = ({ openMs = OPEN_MS } = {}) =>
    createTestHandler(payments, createHttpProvider({ url: server.url }), { openMs }).handle

  async function createMany(count: number): Promise<string[]> {
    return await Promise.all(Array.from({ length: count }, () => payments.pending()))
  }
  async function createBad(count: number): Promise<string[]> {
    const ids = await createMany(count)
    for (const id of ids) bad.add(id)
    return ids
  }
  const handleAll = (ids: readonly string[]) => Promise.all(ids.map((id) => handle(delivery(id))))
  /** References of the payments that the provider was asked to charge, in their order. */
  const references = () => server.seen.map(({ body }) => (JSON.parse(body) as { reference: string }).reference)
  /** Handles payments again, as if their retries were due. Parked payments are skipped. */
  async function handleDue(ids: readonly string[]): Promise<void> {
    for (const id of ids) await payments.set(id, 'lease_until = now()')
    await handleAll(ids)
  }
  const rows = (ids: readonly string[]) => Promise.all(ids.map(payments.row))
  const letters = (ids: readonly string[]) =>
    payments.db.selectFrom('dead_letters').select(['key', 'source', 'reason']).where('key', 'in', ids).execute()

  /** Handles a payment, and again when each retry is due, until the payment is settled. */
  async function settled(id: string): Promise<void> {
    await handle(delivery(id))
    for (let row = await payments.row(id); row.status === 'PENDING'; row = await payments.row(id)) {
      await sleep(Math.max(0, Number(row.lease_until) - Date.now()))
      await handle(delivery(id))
    }
  }

  /** Handles a good payment every 20 ms until it is stopped. Returns how long each payment took to be settled. */
  function createStream() {
    const handled: Promise<number>[] = []
    let stopped = false
    async function run(): Promise<void> {
      while (!stopped) {
        const id = await payments.pending()
        const startedAt = performance.now()
        handled.push(settled(id).then(() => performance.now() - startedAt))
        await sleep(GOOD_EVERY_MS)
      }
    }
    const running = run()
    return {
      handled,
      async stop(): Promise<number[]> {
        stopped = true
        await running
        return await Promise.all(handled)
      },
    }
  }
  const p99 = (durations: readonly number[]) =>
    defined(durations.toSorted((a, b) => a - b)[Math.floor(durations.length * 0.99)], 'duration')

  // Promise 38
  it('parks twenty payments after three refusals each, and does not slow good payments down', async () => {
    const alone = createStream()
    await eventually(() => expect(alone.handled.length).to.be.at.least(150))
    const before = p99(await alone.stop())

    const stream = createStream()
    await eventually(() => expect(stream.handled.length).to.be.at.least(5))
    const ids = await createBad(20)
    for (const refusals of [1, 2]) {
      await handleDue(ids)
      for (const row of await rows(ids)) expect(row).to.include({ refusals, attempts: 0, parked_at: null })
    }
    await handleDue(ids)
    for (const row of await rows(ids)) {
      expect(row).to.include({ status: 'PENDING', refusals: 3, attempts: 0, redrive_at: null })
      expect(row.parked_at).to.be.instanceOf(Date)
    }
    await eventually(() => expect(stream.handled.length).to.be.at.least(150))
    const together = p99(await stream.stop())
    const found = await letters(ids)
    expect(found.map(({ key }) => key)).to.have.members(ids)
    for (const { source, reason } of found) {
      expect(source).to.equal('worker')
      expect(reason).to.equal('the provider refused the payment 3 times: HTTP 400')
    }
    expect(together, 'p99 in ms').to.be.below(before + OPEN_MS / 5)
  }).timeout(180_000)

  // Promise 39
  it('parks no payment while the provider refuses all: it stops claiming, and settles all when the provider accepts again', async () => {
    handle = createWorker({ openMs: 500 })
    const ids = await createMany(10)
    server.script = answer(404)
    for (let round = 0; round < 3; round += 1) await handleDue(ids)
    for (const row of await rows(ids)) expect(row).to.include({ refusals: 0, attempts: 0, parked_at: null })
    expect(payments.logged()).to.include(REFUSES).and.not.include('provider is back')
    server.script = refuseBad
    await handleDue(ids)
    for (const row of await rows(ids)) expect(row).to.include({ status: 'SUCCESS', attempts: 0 })
    expect(payments.logged()).to.include('provider is back')
  })

  it('keeps a refused payment, with an error line per refusal, as long as no other payment was answered', async () => {
    const ids = await createBad(1)
    for (let round = 0; round < 5; round += 1) await handleDue(ids)
    for (const row of await rows(ids)) expect(row).to.include({ refusals: 0, attempts: 0, parked_at: null })
    expect(payments.logged()).to.deep.equal(Array.from({ length: 5 }, () => WAITS))
  })

  it('probes the provider with no refused payment while a good payment waits, although refused ones are delivered first', async () => {
    // Long, so that all payments are delivered before the first probe, which is due after a fiftieth of it.
    handle = createWorker({ openMs: 150_000 })
    const good = await payments.pending()
    const ids = await createBad(3)
    await handleAll(ids)
    expect(payments.logged()).to.include(REFUSES)
    for (const id of ids) await payments.set(id, 'lease_until = now()')
    const handled = [...ids.toReversed(), good].map((id) => handle(delivery(id)))
    expect(await Promise.all(handled)).to.deep.equal(handled.map(() => 'ack'))
    expect(await payments.row(good)).to.include({ status: 'SUCCESS' })
    expect(references().slice(0, 4)).to.have.members([...ids, good])
    expect(references()[3]).to.equal(good)
  })

  it('charges a refused payment again after a requeue, and counts its refusals from 0', async () => {
    const id = defined((await createBad(1))[0], 'payment')
    for (let refusals = 1; refusals <= 3; refusals += 1) {
      await handleAll(await createMany(1))
      await handleDue([id])
    }
    const letter = await payments.db.selectFrom('dead_letters').select('id').where('key', '=', id).executeTakeFirst()
    expect(await requeue(payments.db, defined(letter, 'dead letter').id, { by: OPERATOR })).to.deep.equal({
      done: true,
    })
    expect(await payments.row(id)).to.include({ refusals: 0, attempts: 1, parked_at: null })
    // The provider has no charge under this key, so the payment is charged.
    server.script = (request, response) => (request.method === 'GET' ? answer(404) : refuseBad)(request, response)
    bad.clear()
    await handleDue([id])
    expect(await payments.row(id)).to.include({ status: 'SUCCESS' })
  })
})
