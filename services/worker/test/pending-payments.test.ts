import { defined, pause } from '@cashflow/async'
import { requeue } from '@cashflow/db/operator'
import { answer, eventually, OPERATOR, type Script, type ScriptedServer, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createHttpProvider } from '../src/provider/http-provider.ts'
import { createTestHandler, createTestWorker, delivery, type TestWorker } from './test-worker.ts'

describe('worker with pending payments', () => {
  let payments: TestWorker
  let server: ScriptedServer
  const undecided = new Set<string>()
  const asked = new Map<string, { method: string; at: number }[]>()

  before(async () => {
    payments = await createTestWorker(10)
  })
  after(() => payments.drop())
  beforeEach(async () => {
    payments.lines.length = 0
    undecided.clear()
    asked.clear()
    server = await startScriptedServer()
    server.script = decide
  })
  afterEach(() => server.close())

  const decide: Script = (request, response) => {
    const key = request.method === 'GET' ? request.path.split('/').at(-1) : request.headers['idempotency-key']
    const id = String(key)
    asked.set(id, [...(asked.get(id) ?? []), { method: request.method, at: performance.now() }])
    if (undecided.has(id)) answer(202, { status: 'pending' }, { 'retry-after': '1' })(request, response)
    else answer(200, { status: 'approved' })(request, response)
  }

  function createWorker({ chargesMax = 100, failuresMax = 10, openMs = 60_000, pendingMaxMs = 60_000 } = {}) {
    const options = { chargesMax, failuresMax, openMs, pendingMaxMs }
    return createTestHandler(payments, createHttpProvider({ url: server.url }), options).handle
  }

  const unresolved = (id: string) =>
    payments.db
      .selectFrom('dead_letters')
      .select(['id', 'reason'])
      .where('key', '=', id)
      .where('resolved_at', 'is', null)
      .execute()
  const createMany = (count: number) => Promise.all(Array.from({ length: count }, () => payments.pending()))

  /** Delivers the due messages of `outbox_scheduled`, as relay and broker do, until the signal aborts. */
  function deliverDue(handle: ReturnType<typeof createWorker>, signal: AbortSignal): void {
    void (async () => {
      while (!signal.aborted) {
        const { rows } = await sql<{ key: string }>`
          delete from outbox_scheduled where due_at <= clock_timestamp() returning key`.execute(payments.db)
        await Promise.all(rows.map(({ key }) => handle(delivery(key))))
        await pause(50, signal)
      }
    })()
  }

  // Promise 40
  it('settles other payments at once while twelve are pending, and those when the provider decides', async () => {
    const over = new AbortController()
    // Fewer slots than pending payments: these must hold no slot.
    const handle = createWorker({ chargesMax: 4 })
    const momo = await createMany(12)
    for (const id of momo) undecided.add(id)
    await Promise.all(momo.map((id) => handle(delivery(id))))
    deliverDue(handle, over.signal)
    try {
      for (const id of await createMany(10)) {
        expect(await handle(delivery(id))).to.equal('ack')
        expect(await payments.row(id)).to.include({ status: 'SUCCESS' })
      }
      await eventually(() => {
        for (const id of momo) expect(asked.get(id)?.length).to.be.at.least(3)
      })
      for (const row of await Promise.all(momo.map(payments.row)))
        expect(row).to.include({ status: 'PENDING', attempts: 0, parked_at: null })
      undecided.clear()
      await eventually(async () => {
        for (const row of await Promise.all(momo.map(payments.row)))
          expect(row).to.include({ status: 'SUCCESS', attempts: 0 })
      })
    } finally {
      over.abort()
    }
    for (const requests of asked.values()) {
      const [first, ...later] = requests
      expect(first?.method).to.equal('POST')
      for (const [index, { method, at }] of later.entries()) {
        expect(method).to.equal('GET')
        expect(at - (requests[index]?.at ?? 0), 'Retry-After is kept').to.be.at.least(1_000)
      }
    }
    expect(payments.logged()).not.to.include('provider is away, nothing is claimed')
  })

  it('looks a pending payment up after 30 s, 1 min, 2 min and 5 min, by the age of the first pending answer', async () => {
    const handle = createWorker({ pendingMaxMs: 600_000 })
    server.script = answer(200, { status: 'pending' })
    const id = await payments.pending()
    for (const [ageS, delayS] of [
      [0, 30],
      [31, 60],
      [91, 120],
      [211, 300],
    ] as const) {
      if (ageS > 0) await payments.set(id, `provider_pending_since = now() - interval '${ageS} seconds'`)
      await payments.set(id, 'lease_until = now()')
      const since = (await payments.row(id)).provider_pending_since
      expect(await handle(delivery(id))).to.equal('ack')
      const row = await payments.row(id)
      if (since) expect(row.provider_pending_since).to.deep.equal(since)
      expect(row).to.include({ status: 'PENDING', claim_token: null, attempts: 0, refusals: 0 })
      const { rows } = await sql<{ lease: number; redrive: number; due: number }>`select
        extract(epoch from p.lease_until - now())::float8 as lease, extract(epoch from p.redrive_at - now())::float8 as redrive,
        extract(epoch from (select max(due_at) from outbox_scheduled where key = p.id::text) - now())::float8 as due
        from payments p where id = ${id}`.execute(payments.db)
      for (const [name, at] of Object.entries(rows[0] ?? {}))
        expect(at, name).to.be.within(
          delayS - 20 + (name === 'redrive' ? 60 : 0),
          delayS + (name === 'redrive' ? 60 : 0),
        )
    }
    expect(server.seen.map(({ method }) => method)).to.deep.equal(['POST', 'GET', 'GET', 'GET'])
  })

  // Promise 40
  it('parks a payment by a pending answer after the limit, and looks it up after a requeue before it parks it again', async () => {
    const handle = createWorker({ pendingMaxMs: 60_000 })
    const id = await payments.pending()
    undecided.add(id)
    await payments.set(id, "provider_pending_since = now() - interval '61 seconds'")
    const { provider_pending_since: since } = await payments.row(id)
    for (const looks of [1, 2]) {
      expect(await handle(delivery(id))).to.equal('ack')
      const row = await payments.row(id)
      expect(row).to.include({ status: 'PENDING', attempts: 0, redrive_at: null })
      expect(row.parked_at).to.be.instanceOf(Date)
      const letters = await unresolved(id)
      expect(letters.map(({ reason }) => reason)).to.deep.equal([
        'the provider has not decided within PROVIDER_PENDING_MAX_MS (60000)',
      ])
      expect(asked.get(id)?.map(({ method }) => method)).to.deep.equal(Array.from({ length: looks }, () => 'GET'))
      expect(await requeue(payments.db, defined(letters[0], 'dead letter').id, { by: OPERATOR })).to.deep.equal({
        done: true,
      })
      expect((await payments.row(id)).provider_pending_since).to.deep.equal(since)
    }
    undecided.clear()
    await handle(delivery(id))
    expect(await payments.row(id)).to.include({ status: 'SUCCESS' })
  })

  it('resets attempts and refusals after a pending answer, and still looks the charge up first', async () => {
    const handle = createWorker()
    const id = await payments.pending()
    await payments.set(id, 'attempts = 9, refusals = 2')
    undecided.add(id)
    await handle(delivery(id))
    expect(await payments.row(id)).to.include({ status: 'PENDING', attempts: 0, refusals: 0, parked_at: null })
    await payments.set(id, 'lease_until = now()')
    await handle(delivery(id))
    expect(asked.get(id)?.map(({ method }) => method)).to.deep.equal(['GET', 'GET'])
  })

  // Promise 40
  it('parks no pending payment when ten of twenty look-ups got no answer', async () => {
    const handle = createWorker({ failuresMax: 1_000 })
    const id = await payments.pending()
    server.script = answer(202, {})
    await handle(delivery(id))
    for (let look = 1; look <= 20; look += 1) {
      await payments.set(id, 'lease_until = now()')
      server.script = look % 2 === 1 ? answer(503, {}) : answer(202, {})
      await handle(delivery(id))
    }
    expect(await payments.row(id)).to.include({ status: 'PENDING', attempts: 0, parked_at: null })
    expect(await unresolved(id)).to.deep.equal([])
  })
})
