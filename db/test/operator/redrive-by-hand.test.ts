import { randomUUID } from 'node:crypto'
import { buryMessage, nowMicros } from '@cashflow/outbox'
import { createUnreadableRows, nullLogger, OPERATOR, openClient } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { createDatabase } from '../../src/index.ts'
import {
  countDue,
  listActions,
  pause,
  type RedriveBatch,
  type RedrivePlace,
  redriveBatch,
  redrivePayment,
  resume,
  settleByHand,
} from '../../src/operator.ts'
import { hasOverdue, parkPayment, saveRetry } from '../../src/worker.ts'
import { claimPayment, createTestStore, type TestStore } from '../test-store.ts'

const HOUR_MS = 3_600_000
const TEN_MINUTES_MS = 600_000

describe('redrive by hand', () => {
  let store: TestStore
  let runStart: number
  beforeEach(async () => {
    store = await createTestStore(4)
    runStart = await nowMicros(store.db)
  })
  afterEach(() => store.drop())

  const row = (id: string) => store.db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
  const set = (id: string, values: string) =>
    sql.raw(`update payments set ${values} where id = '${id}'`).execute(store.db)
  const claimOf = () => ({ token: randomUUID(), leaseMs: 20_000, attemptsMax: 3, redriveAfterMs: 60_000 })
  const redrive = (id: string) => redrivePayment(store.db, id, { by: OPERATOR, reason: 'the queue is lost' })
  const batch = (more: Partial<Parameters<typeof redriveBatch>[1]> = {}) =>
    redriveBatch(store.db, {
      ...{ startedMicros: runStart, pendingOverMs: TEN_MINUTES_MS, redriveMax: 1_000, isDryRun: false, by: OPERATOR },
      ...more,
    })
  const due = async () =>
    (await store.db.selectFrom('payments').select('id').where('redrive_at', '<=', sql<Date>`now()`).execute()).map(
      ({ id }) => id,
    )
  /** A payment that was created an hour ago. Its redrive is due in an hour. */
  async function old(values = 'attempts = attempts'): Promise<string> {
    const { id } = await store.insert()
    await set(id, "created_at = now() - interval '1 hour', redrives = 5, redrive_at = now() + interval '1 hour'")
    await set(id, values)
    return id
  }

  it('redrive: makes the redrive of a payment due now, twice if it is run twice', async () => {
    const id = await old()
    expect(await hasOverdue(store.db)).to.equal(false)
    for (const times of [1, 2]) {
      expect(await redrive(id)).to.deep.equal({ done: true })
      expect(await row(id)).to.include({ status: 'PENDING', redrives: 0, attempts: 0 })
      expect(await due()).to.deep.equal([id])
      expect(await listActions(store.db, { target: id, limit: 10 })).to.have.length(times)
    }
    expect(await hasOverdue(store.db)).to.equal(true)
  })

  it('redrive: lets a payment be claimed now that waits for its next attempt', async () => {
    const { id } = await store.insert()
    await claimPayment(store.db, id, claimOf())
    const retry = { delayMsAfter: () => HOUR_MS, redriveAfterMs: 60_000 }
    await store.db.transaction().execute((tx) => saveRetry(tx, id, retry))
    expect(await claimPayment(store.db, id, claimOf())).to.include({ verdict: 'leased' })
    expect(await redrive(id)).to.deep.equal({ done: true })
    expect(await claimPayment(store.db, id, claimOf())).to.include({ verdict: 'claimed', attempts: 1 })
  })

  // Promise 114
  it('redrive: refuses a payment that is parked, settled, unknown, or held by a worker, and changes nothing', async () => {
    const [parked, settled, leased] = [await old(), await old(), await old()]
    await store.db.transaction().execute((tx) => parkPayment(tx, parked, 0))
    const letter = { messageId: randomUUID(), key: parked, topic: 't', payload: {}, source: 'worker', reason: 'r' }
    await store.db.transaction().execute((tx) => buryMessage(tx, { ...letter, attempts: 10 }))
    const outcome = { outcome: 'approved' } as const
    await settleByHand(store.db, { paymentId: settled, outcome, reason: 'x', by: OPERATOR })
    await claimPayment(store.db, leased, claimOf())
    const { id: letterId } = await store.db.selectFrom('dead_letters').select('id').executeTakeFirstOrThrow()
    for (const [id, why] of [
      [parked, `The payment is parked. Requeue its dead letter ${letterId}, or settle it.`],
      [settled, 'The payment is SUCCESS already.'],
      [leased, /^A worker is processing the payment\. Its lease ends at \d{4}-.*Z\.$/],
      [randomUUID(), 'No payment has this id.'],
    ] as const) {
      const before = await store.db.selectFrom('payments').selectAll().where('id', '=', id).execute()
      const result = await redrive(id)
      expect(result).to.include({ done: false })
      expect(result)
        .to.have.property('why')
        .that.matches(why instanceof RegExp ? why : new RegExp(`^${why}$`))
      expect(await store.db.selectFrom('payments').selectAll().where('id', '=', id).execute()).to.deep.equal(before)
    }
  })

  // Promise 114
  it('redrive: refuses everything during a pause', async () => {
    const id = await old()
    await pause(store.db, { component: 'relay', reason: 'the broker moves', by: OPERATOR, forMs: undefined })
    const why =
      'relay is paused by ann@ops without an end: the broker moves. Nothing is redriven during a pause. Resume it first.'
    expect(await redrive(id)).to.deep.equal({ done: false, why })
    expect(await batch()).to.deep.include({ redriven: 0, why })
    expect(await due()).to.deep.equal([])
    await resume(store.db, { component: 'relay', reason: undefined, by: OPERATOR })
    expect(await redrive(id)).to.deep.equal({ done: true })
  })

  // Promise 114
  it('redrive --pending-over: takes no payment that is young, parked, settled, locked, leased or in front of its attempt', async () => {
    const lost = [await old(), await old("claim_token = gen_random_uuid(), lease_until = now() - interval '1 second'")]
    await store.insert()
    const parked = await old()
    await store.db.transaction().execute((tx) => parkPayment(tx, parked, 0))
    await settleByHand(store.db, {
      ...{ paymentId: await old(), outcome: { outcome: 'approved' }, reason: 'x', by: OPERATOR },
    })
    await old("claim_token = gen_random_uuid(), lease_until = now() + interval '1 minute'")
    await old("lease_until = now() + interval '1 minute'")
    const locked = await old()
    const worker = await openClient(store.database.url)
    await worker.query('begin')
    await worker.query('select 1 from payments where id = $1 for update', [locked])
    const dry = await batch({ isDryRun: true })
    expect(dry).to.deep.equal({ redriven: 3, leased: 1, waiting: 1, locked: 0, next: undefined })
    expect(await due()).to.deep.equal([])
    const result = await batch({ reason: 'lost' })
    expect(result).to.deep.equal({ redriven: 2, leased: 1, waiting: 1, locked: 1, next: undefined })
    expect(await due()).to.have.members(lost)
    expect((await listActions(store.db, { limit: 10, target: lost[0] }))[0]).to.include({
      action: 'redrive',
      reason: 'lost',
    })
    await worker.query('rollback')
    await worker.end()
    expect(await batch(), 'the second time').to.deep.equal({
      redriven: 1,
      leased: 1,
      waiting: 1,
      locked: 0,
      next: undefined,
    })
    expect(await countDue(store.db, { pendingOverMs: TEN_MINUTES_MS })).to.equal(3)
    expect(await countDue(store.db, { pendingOverMs: 2 * HOUR_MS })).to.equal(0)
  })

  it('redrive --pending-over: a payment that PostgreSQL cannot read costs no other its redrive, and is reported', async () => {
    const near = [await old(), await old(), await old()]
    const far = await old("redrive_at = now() + interval '2 hours'")
    const condition = `id = '${near[1]}'`
    const unreadable = await createUnreadableRows(store.database.url, { table: 'payments', condition })
    const db = createDatabase({ url: unreadable.url, applicationName: 'test', poolMax: 2, logger: nullLogger })
    try {
      const batches: RedriveBatch[] = []
      let after: RedrivePlace | undefined
      do {
        const run = { startedMicros: runStart, pendingOverMs: TEN_MINUTES_MS, redriveMax: 100, isDryRun: false }
        batches.push(await redriveBatch(db, { ...run, after, by: OPERATOR }))
        after = batches.at(-1)?.next
      } while (after)
      const damaged = batches.filter(({ isDamaged }) => isDamaged)
      expect(damaged.map(({ why }) => why)).to.deep.equal(['XX001 invalid page in block 0'])
    } finally {
      await db.destroy()
      await unreadable.drop()
    }
    expect(await due()).to.have.members([near[0], near[2], far])
  })

  it('redrive --pending-over: an unreadable payment that is due already only leaves unknown how many are due', async () => {
    const damaged = await old("redrive_at = now() - interval '1 minute'")
    const condition = `id = '${damaged}'`
    const unreadable = await createUnreadableRows(store.database.url, { table: 'payments', condition })
    const db = createDatabase({ url: unreadable.url, applicationName: 'test', poolMax: 2, logger: nullLogger })
    try {
      expect(await countDue(db, { pendingOverMs: TEN_MINUTES_MS })).to.equal(null)
    } finally {
      await db.destroy()
      await unreadable.drop()
    }
  })

  it('redrive --pending-over: leaves out a payment whose redrive is never', async () => {
    const id = await old()
    await old("redrive_at = 'infinity'")
    expect(await batch()).to.include({ redriven: 1, next: undefined })
    expect(await due()).to.deep.equal([id])
  })

  it('redrive --pending-over: redrives no payment twice in a run, while workers are slow', async () => {
    const id = await old()
    const startedMicros = await nowMicros(store.db)
    expect(await batch({ startedMicros })).to.include({ redriven: 1 })
    // As a worker appends its message, and sets the time of the next one.
    await set(id, "redrives = 1, redrive_at = now() + interval '1 minute'")
    expect(await batch({ startedMicros, isDryRun: true })).to.include({ redriven: 0 })
    expect(await batch({ startedMicros })).to.include({ redriven: 0, leased: 0, waiting: 0 })
    expect(await batch({ startedMicros: await nowMicros(store.db) }), 'in another run').to.include({ redriven: 1 })
  })

  it('redrive --pending-over: goes through all payments in batches of 100, also those whose redrive is at the same time', async () => {
    const { id } = await store.insert()
    await sql`insert into payments (id, merchant_id, reference, amount_minor, currency, status, created_at, redrive_at)
      select gen_random_uuid(), merchant_id, 'R-' || n, 100, 'USD', 'PENDING', now() - interval '1 hour',
        date_trunc('hour', now()) + (2 + n / 150) * interval '1 hour'
      from payments, generate_series(1, 320) n where id = ${id}`.execute(store.db)
    const run = async (more: Partial<Parameters<typeof redriveBatch>[1]>) => {
      const batches: RedriveBatch[] = []
      let after: RedrivePlace | undefined
      do {
        const result = await batch({ ...more, after })
        batches.push(result)
        after = result.next
      } while (after)
      return batches.map(({ redriven }) => redriven)
    }
    // The youngest payment has the earliest redrive, and is in the first batch.
    expect(await run({ isDryRun: true })).to.deep.equal([99, 100, 100, 21])
    expect(await batch({ redriveMax: 7 })).to.include({ redriven: 7 })
    expect((await run({})).reduce((sum, redriven) => sum + redriven)).to.equal(313)
    expect(await run({})).to.deep.equal([0])
    expect(await due()).to.have.length(320)
    expect(await listActions(store.db, { limit: 1_000 })).to.have.length(320)
  })
})
