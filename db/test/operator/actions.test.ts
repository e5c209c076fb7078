import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { buryMessage } from '@cashflow/outbox'
import { OPERATOR } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import { type Done, hashKey, parsePeppers } from '../../src/index.ts'
import {
  createKey,
  createMerchant,
  discard,
  listActions,
  type Operator,
  pause,
  redrivePayment,
  requeue,
  resume,
  revokeKey,
  rotateKey,
  settleByHand,
} from '../../src/operator.ts'
import { parkPayment } from '../../src/worker.ts'
import { createTestStore, type TestStore } from '../test-store.ts'

const [PEPPER] = parsePeppers('p'.repeat(32))
const KEY = { merchantId: DEFAULT_MERCHANT_ID, name: 'shop', scopes: ['payments:read'] as const }
const OPTIONS = { sandbox: true, pepper: PEPPER }
/** An operator, in a context with a secret. */
const CONTEXT = { ...OPERATOR, pepper: PEPPER }
/** An operator whose acts cannot be recorded. */
const NAMELESS = { actor: null, via: 'test' } as unknown as Operator

function facts<Facts>(result: Done<Facts>): Facts {
  if (!result.done) throw new Error(result.why)
  return result
}

describe('operator_actions', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore()
  })
  after(() => store.drop())

  const actions = (target: string) => listActions(store.db, { target, limit: 10 })
  const last = async (target: string) => {
    const { id, at, via, ...action } = defined((await actions(target))[0], `act on ${target}`)
    expect(at.getTime()).to.be.closeTo(Date.now(), 60_000)
    expect(via).to.match(/^test as \w+$/)
    return action
  }
  const bury = async (source: string, key: string, reason = 'HTTP 503') => {
    const letter = { messageId: randomUUID(), key, topic: 't', payload: {}, source, reason, attempts: 1 }
    await store.db.transaction().execute((tx) => buryMessage(tx, letter))
    const letters = store.db.selectFrom('dead_letters').select('id').where('key', '=', key).orderBy('id', 'desc')
    return (await letters.executeTakeFirstOrThrow()).id
  }
  async function parked() {
    const { id } = await store.insert()
    await store.db.transaction().execute((tx) => parkPayment(tx, id, 0))
    return { id, letter: await bury('worker', id) }
  }
  const state = async (id: string) => {
    const { status, parked_at, redrive_at } = await store.db
      .selectFrom('payments')
      .selectAll()
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    return { status, parked_at, redrive_at }
  }

  // Promise 112
  it('has a row for each act, with the operator, the target, the reason, and what was changed', async () => {
    const { id, letter } = await parked()
    await requeue(store.db, letter, { by: OPERATOR, reason: 'the provider is back' })
    expect(await last(id)).to.deep.include({ actor: 'ann@ops', action: 'dead requeue', reason: 'the provider is back' })
    expect((await last(id)).before).to.include({ dead_letter: letter, source: 'worker', key: id, reason: 'HTTP 503' })
    await redrivePayment(store.db, id, { by: OPERATOR })
    expect(await last(id)).to.deep.include({ action: 'redrive', reason: null })
    expect((await last(id)).before).to.include({ redrives: 0, attempts: 1 })
    const outcome = { outcome: 'declined', failureCode: 'fraud' } as const
    await settleByHand(store.db, { paymentId: id, outcome, reason: 'the bank says so', by: CONTEXT })
    expect(await last(id)).to.deep.equal({
      actor: 'ann@ops',
      action: 'payments settle',
      target: id,
      reason: 'the bank says so',
      before: { status: 'PENDING' },
      after: { status: 'FAILED', failure_code: 'fraud' },
    })
    const event = store.db.selectFrom('payment_events').select('trace').where('payment_id', '=', id)
    expect(
      (await event.where('sequence', '=', 2).executeTakeFirst())?.trace,
      'without the rest of the context',
    ).to.deep.equal(OPERATOR)
    const unreadable = await bury('queue', randomUUID())
    await discard(store.db, unreadable, { by: OPERATOR, reason: 'a test' })
    expect(await last(unreadable)).to.deep.include({
      action: 'dead discard',
      after: { resolution: 'discarded: a test' },
    })
    await pause(store.db, { component: 'relay', reason: 'a', by: OPERATOR, forMs: undefined })
    await pause(store.db, { component: 'relay', reason: 'b', by: OPERATOR, forMs: 60_000 })
    expect((await last('relay')).before).to.include({ reason: 'a', paused_by: 'ann@ops', paused_until: null })
    expect((await last('relay')).after)
      .to.include({ reason: 'b' })
      .and.have.property('paused_until')
      .that.is.a('string')
    await resume(store.db, { component: 'relay', reason: 'c', by: OPERATOR })
    expect(await last('relay')).to.deep.include({ action: 'resume', reason: 'c' })
  })

  // Promise 112
  it('has a row for each act on merchants and keys, and no secret', async () => {
    const { merchant } = facts(await createMerchant(store.db, { name: 'Acme', by: OPERATOR }))
    expect(await last(merchant.id)).to.deep.include({ action: 'merchants create', after: { name: 'Acme' } })
    const { key, secret } = facts(await createKey(store.db, { ...KEY, ...OPTIONS, by: OPERATOR }))
    expect(await last(key.id)).to.deep.include({ action: 'keys create', before: null })
    const rotated = facts(await rotateKey(store.db, { ...OPTIONS, id: key.id, overlapMs: 0, by: OPERATOR }))
    expect(await last(key.id)).to.include({ action: 'keys rotate' })
    expect((await last(key.id)).after).to.include({ replaced_by: rotated.key.id })
    expect(await last(rotated.key.id)).to.include({ action: 'keys create' })
    await revokeKey(store.db, { id: key.id, by: OPERATOR })
    const revoked = await actions(key.id)
    expect(revoked[0]).to.include({ action: 'keys revoke' })
    await revokeKey(store.db, { id: key.id, by: OPERATOR })
    expect(await actions(key.id), 'after a revocation that changes nothing').to.deep.equal(revoked)
    const stored = JSON.stringify(await listActions(store.db, { limit: 1_000 }))
    for (const text of [secret, rotated.secret])
      for (const hidden of [
        text.slice(22),
        hashKey(text, PEPPER).toString('hex'),
        hashKey(text, PEPPER).toString('base64'),
      ])
        expect(stored).to.not.include(hidden)
  })

  // Promise 112
  it('has no row for an act that was refused', async () => {
    const { id, letter } = await parked()
    const claimed = sql`update payments set parked_at = null, claim_token = gen_random_uuid(),
      lease_until = now() + interval '1 minute' where id = ${id}`
    expect(await discard(store.db, letter, { by: OPERATOR, reason: 'x' })).to.include({ done: false })
    await claimed.execute(store.db)
    expect(await requeue(store.db, letter, { by: OPERATOR })).to.include({ done: false })
    expect(await redrivePayment(store.db, id, { by: OPERATOR })).to.include({ done: false })
    const outcome = { outcome: 'approved' } as const
    expect(await settleByHand(store.db, { paymentId: id, outcome, reason: 'x', by: OPERATOR })).to.include({
      done: false,
    })
    expect(await actions(id)).to.deep.equal([])
    await createMerchant(store.db, { name: 'Twice', by: OPERATOR })
    const again = await createMerchant(store.db, { name: 'Twice', by: OPERATOR })
    expect(again).to.include({ done: false })
    const created = (await listActions(store.db, { limit: 1_000 })).filter(({ after }) =>
      JSON.stringify(after)?.includes('Twice'),
    )
    expect(created).to.have.length(1)
  })

  // Promise 112
  it('an act is undone if its record cannot be stored', async () => {
    const { id, letter } = await parked()
    const before = await state(id)
    const failed = async (act: Promise<unknown>) => {
      const result = await act.catch((error: { code: string }) => error.code)
      expect(result === '23502' || (result as Done).done === false, String(result)).to.equal(true)
    }
    await failed(requeue(store.db, letter, { by: NAMELESS }))
    const outcome = { outcome: 'approved' } as const
    await failed(settleByHand(store.db, { paymentId: id, outcome, reason: 'x', by: NAMELESS }))
    await failed(createMerchant(store.db, { name: 'nameless', by: NAMELESS }))
    await failed(resume(store.db, { component: 'worker', reason: 'x', by: NAMELESS }))
    await failed(pause(store.db, { component: 'worker', reason: 'x', by: NAMELESS, forMs: undefined }))
    expect(await state(id)).to.deep.equal(before)
    const { rows } = await sql`select 1 from dead_letters where id = ${letter} and resolved_at is null`.execute(
      store.db,
    )
    expect(rows).to.have.length(1)
    const { rows: made } = await sql`select name from merchants where name = 'nameless'
      union all select component from pauses where component = 'worker'`.execute(store.db)
    expect(made).to.deep.equal([])
    const { id: free } = await store.insert()
    const waits = await state(free)
    await failed(redrivePayment(store.db, free, { by: NAMELESS }))
    expect(await state(free)).to.deep.equal(waits)
  })

  // Promise 113
  it('is append-only: refuses update, delete and truncate, to the owner too', async () => {
    const { merchant } = facts(await createMerchant(store.db, { name: randomUUID(), by: OPERATOR }))
    const before = await actions(merchant.id)
    for (const statement of [
      "update operator_actions set actor = 'another'",
      'delete from operator_actions',
      'truncate operator_actions',
    ]) {
      const refused = await sql
        .raw(statement)
        .execute(store.db)
        .catch((error: { code: string }) => error.code)
      expect(refused, statement).to.equal('42501')
    }
    expect(await actions(merchant.id))
      .to.deep.equal(before)
      .and.have.length(1)
  })

  it('has facts of a bounded size, for a reason with any characters', async () => {
    const { id } = await store.insert()
    const letter = await bury('database', id, `${'x'.repeat(499)}😀${'\u0001"\u001b'.repeat(50_000)}`)
    await discard(store.db, letter, { by: OPERATOR, reason: 'too long' })
    const { before } = await last(id)
    expect(JSON.stringify(before).length).to.be.below(2_000)
    expect(before)
      .to.have.property('reason')
      .that.matches(/^x{499}\ufffd…$/)
  })

  it('lists acts, the newest first, by target, operator, age and page', async () => {
    const { id, letter } = await parked()
    const other = await bury('worker', randomUUID())
    await requeue(store.db, letter, { by: OPERATOR })
    const bob = { actor: 'bob@ops', via: 'test' }
    await sql`insert into operator_actions (at, actor, via, action, target, reason)
      values (now() - interval '2 days', 'bob@ops', 'test', 'pause', 'worker', '0')`.execute(store.db)
    for (const reason of ['1', '2', '3'])
      await pause(store.db, { component: 'worker', reason, by: bob, forMs: undefined })
    await discard(store.db, other, { by: OPERATOR, reason: 'x' })
    const reasons = async (more: object) =>
      (await listActions(store.db, { target: 'worker', limit: 10, ...more })).map(({ reason }) => reason)
    expect(await reasons({})).to.deep.equal(['3', '2', '1', '0'])
    const [newest] = await listActions(store.db, { target: 'worker', limit: 1 })
    expect(await reasons({ before: newest?.id, limit: 1 })).to.deep.equal(['2'])
    expect(await reasons({ actor: 'ann@ops' })).to.deep.equal([])
    expect(await reasons({ actor: 'bob@ops' })).to.have.length(4)
    expect(await reasons({ ageMaxMs: 86_400_000 })).to.deep.equal(['3', '2', '1'])
    const acts = async (target: string) => (await actions(target)).map(({ action }) => action)
    expect(await acts(letter), 'by the id of a dead letter').to.deep.equal(['dead requeue'])
    expect(await acts(id)).to.deep.equal(['dead requeue'])
    expect(await acts(other)).to.deep.equal(['dead discard'])
    expect(await acts('9'.repeat(20)), 'a name of digits that no id has').to.deep.equal([])
    await resume(store.db, { component: 'worker', reason: undefined, by: bob })
  })
})
