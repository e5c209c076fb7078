import { randomUUID } from 'node:crypto'
import { settlePayment, type TransitionResult } from '@cashflow/domain'
import { buryMessage } from '@cashflow/outbox'
import { eventually, nullLogger, openClient, type PrivatePostgres, startPrivatePostgres } from '@cashflow/testing'
import { expect } from 'chai'
import { type Kysely, sql } from 'kysely'
import type pg from 'pg'
import { createDatabase, isTransient, onlyStatement, type Tables } from '../../src/index.ts'
import { CommitInDoubtError } from '../../src/postgres/errors.ts'
import { claimPayment, newPayment, storePayments, storeSettlements } from '../test-store.ts'

const open = (url: string, statementMs?: number) =>
  createDatabase({ url, applicationName: 'test', poolMax: 1, logger: nullLogger, ...(statementMs && { statementMs }) })
const reasonOf = (work: Promise<unknown>) => work.then(() => undefined).catch((error: unknown) => error)

describe('COMMIT without a synchronous standby', () => {
  let server: PrivatePostgres
  let admin: pg.Client
  let db: Kysely<Tables>
  before(async () => {
    server = await startPrivatePostgres()
    db = open(server.url)
    admin = await openClient(server.url)
    await waitForStandbys('ANY 1 (absent)')
  }).timeout(180_000)
  after(async () => {
    await db.destroy()
    await admin.end()
    await server.stop()
  })

  async function waitForStandbys(names: string): Promise<void> {
    await admin.query(`alter system set synchronous_standby_names = '${names}'`)
    await admin.query('select pg_reload_conf()')
    await eventually(async () => expect(await commitWaits()).to.equal(names !== ''))
  }

  /** Whether a COMMIT waits. The setting of the session is not enough: the checkpointer has to read it as well. */
  async function commitWaits(): Promise<boolean> {
    const client = await openClient(server.url)
    let committed = false
    const commit = client.query("select pg_logical_emit_message(true, 'a test', '')").then(() => {
      committed = true
    })
    const waits = await eventually(async () => {
      if (committed) return false
      await cancelWait()
      return true
    })
    await commit
    await client.end()
    return waits
  }

  /** Waits until a COMMIT waits for the standby, and cancels its wait. */
  const waitCancelled = () => eventually(cancelWait)
  const cancelWait = async () => {
    const { rows } = await admin.query(
      "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'",
    )
    expect(rows).to.have.length(1)
  }

  // Promise 6
  it('db: counts an insert as in doubt after its wait for the standby was canceled, also when the repetition finds its own row', async () => {
    const { payment, event } = newPayment()
    const attempt = () =>
      storePayments(db, [{ payment, event, requestId: 'r', messages: [] }], { redriveAfterMs: 60_000 })

    const first = reasonOf(attempt())
    await waitCancelled()
    const doubt = await first
    expect(doubt).to.be.instanceOf(CommitInDoubtError)
    expect(isTransient(doubt)).to.equal(true)

    // The repetition finds its own row, and has to wait for the standby nevertheless.
    const second = reasonOf(attempt())
    await waitCancelled()
    expect(await second).to.be.instanceOf(CommitInDoubtError)

    await waitForStandbys('')
    expect(await attempt()).to.deep.equal([{ has: 'itself', paymentId: payment.id }])
  }).timeout(180_000)

  // Promise 6
  it('db: counts a claim and a settlement as in doubt after their wait for the standby was canceled, until they find themselves', async () => {
    const { payment, event } = newPayment()
    await storePayments(db, [{ payment, event, requestId: 'r', messages: [] }], { redriveAfterMs: 60_000 })
    await waitForStandbys('ANY 1 (absent)')
    const token = randomUUID()
    const claim = () =>
      claimPayment(db, payment.id, { token, leaseMs: 60_000, attemptsMax: 10, redriveAfterMs: 60_000 })
    for (let attempt = 0; attempt < 2; attempt++) {
      const claimed = reasonOf(claim())
      await waitCancelled()
      expect(await claimed).to.be.instanceOf(CommitInDoubtError)
    }
    await waitForStandbys('')
    expect(await claim()).to.include({ verdict: 'claimed', attempts: 0 })

    await waitForStandbys('ANY 1 (absent)')
    const settlement = settlePayment(payment, { outcome: 'approved' }, new Date()) as TransitionResult & {
      settled: true
    }
    const by = { actor: 'worker', requestId: undefined, previousHash: null }
    const settle = () => storeSettlements(db, [{ ...settlement, token, ...by, messages: [] }])
    for (let attempt = 0; attempt < 2; attempt++) {
      const settled = reasonOf(settle())
      await waitCancelled()
      expect(await settled).to.be.instanceOf(CommitInDoubtError)
    }
    await waitForStandbys('')
    expect(await settle()).to.deep.equal(['SUCCESS'])
  }).timeout(180_000)

  // Promise 6
  it('db: counts a dead letter as in doubt after the wait for the standby was canceled, also when another one is found', async () => {
    const letter = { messageId: randomUUID(), key: 'k', topic: 't', payload: {}, source: 's', reason: 'r', attempts: 1 }
    const bury = () => db.transaction().execute((tx) => buryMessage(tx, letter))
    await waitForStandbys('ANY 1 (absent)')
    for (let attempt = 0; attempt < 2; attempt++) {
      const buried = reasonOf(bury())
      await waitCancelled()
      expect(await buried).to.be.instanceOf(CommitInDoubtError)
    }
    await waitForStandbys('')
    expect(await bury()).to.equal(false)
  }).timeout(180_000)

  it('db: counts a transaction in one trip as in doubt after its wait for the standby was canceled, but not the next one', async () => {
    await waitForStandbys('ANY 1 (absent)')
    const write = () =>
      db
        .transaction()
        .execute((tx) => sql`select pg_logical_emit_message(true, ${'a test'}, '')`.execute(onlyStatement(tx)))
    const first = reasonOf(write())
    await waitCancelled()
    expect(await first).to.be.instanceOf(CommitInDoubtError)
    await waitForStandbys('')
    await write()
  }).timeout(180_000)

  // Promise 6
  it('db: ends a COMMIT on the server that still waits for the standby after the client has given up', async () => {
    await waitForStandbys('ANY 1 (absent)')
    const impatient = open(server.url, 2_000)
    const { payment, event } = newPayment()
    const waiting = (count: number) =>
      eventually(async () => {
        const { rows } = await admin.query("select 1 from pg_stat_activity where wait_event = 'SyncRep'")
        expect(rows).to.have.length(count)
      })
    const overdue = reasonOf(
      storePayments(impatient, [{ payment, event, requestId: 'r', messages: [] }], { redriveAfterMs: 60_000 }),
    )
    await waiting(1)
    expect(isTransient(await overdue)).to.equal(true)
    await waiting(0)
    await impatient.destroy()
    await waitForStandbys('')
  }).timeout(180_000)
})
