import { defined } from '@cashflow/async'
import { buryMessage, listDeadLetters } from '@cashflow/outbox'
import { OPERATOR, type PrivatePostgres, startPrivatePostgres } from '@cashflow/testing'
import { expect } from 'chai'
import { discard, redrivePayment, requeue, settleByHand } from '../../src/operator.ts'
import { createTestStore, newPayment, type TestStore } from '../test-store.ts'

describe('operator: dead letter of a payment on a damaged page', function () {
  this.timeout(180_000)
  let server: PrivatePostgres
  let store: TestStore
  let repair: () => Promise<void>
  let paymentId: string

  beforeEach(async () => {
    server = await startPrivatePostgres()
    store = await createTestStore(2, { url: server.url, name: 'payments', drop: () => server.stop() })
    paymentId = (await store.insert()).id
    const letter = { key: paymentId, topic: 'payment.retry', source: 'database', reason: 'XX001', attempts: 0 }
    await store.db
      .transaction()
      .execute((tx) => buryMessage(tx, { ...letter, messageId: newPayment().payment.id, payload: {} }))
    repair = await server.damage('payments', [0])
  })
  afterEach(() => store.drop())

  const letters = () => listDeadLetters(store.db, { limit: 10 })
  const letterId = async () => defined((await letters())[0], 'dead letter').id
  const row = () => store.db.selectFrom('payments').selectAll().where('id', '=', paymentId).executeTakeFirstOrThrow()

  // Promise 46
  it('lists and discards the dead letter of a payment on a damaged page without reading the row', async () => {
    expect((await letters()).map(({ key }) => key)).to.deep.equal([paymentId])
    expect(await discard(store.db, await letterId(), { by: OPERATOR, reason: 'lost, and paid by hand' })).to.deep.equal(
      { done: true },
    )
    expect(await letters()).to.deep.equal([])
  })

  // Promise 46
  it('refuses to requeue a dead letter while its payment’s page is damaged, with PostgreSQL’s error, and requeues it after the repair', async () => {
    const id = await letterId()
    const refused = await requeue(store.db, id, { by: OPERATOR })
    expect(refused).to.include({ done: false })
    expect(refused)
      .to.have.property('why')
      .that.matches(/XX001 .*block 0/)
    expect(await letters()).to.have.length(1)
    await repair()
    expect(await requeue(store.db, id, { by: OPERATOR })).to.deep.equal({ done: true })
    expect(await letters()).to.deep.equal([])
    const requeued = await row()
    expect(Number(requeued.redrive_at)).to.be.at.most(Date.now())
    expect(requeued.attempts, 'so that the provider is asked for a charge first').to.equal(1)
  })

  it('refuses to discard the dead letter of a worker while its payment’s page is damaged, with PostgreSQL’s error', async () => {
    const letter = { key: paymentId, topic: 'payment.retry', source: 'worker', reason: 'ten attempts', attempts: 10 }
    await store.db
      .transaction()
      .execute((tx) => buryMessage(tx, { ...letter, messageId: newPayment().payment.id, payload: {} }))
    const id = defined((await letters())[1], 'dead letter').id
    expect(await discard(store.db, id, { by: OPERATOR, reason: 'x' }))
      .to.have.property('why')
      .that.matches(new RegExp(`dead letter ${id}, its payment.*: XX001 .*block 0.* then discard again\\.$`))
    expect(await letters()).to.have.length(2)
  })

  it('resolves the dead letter of a payment on a damaged page when the operator settles the payment after the repair', async () => {
    const settle = () =>
      settleByHand(store.db, { paymentId, outcome: { outcome: 'approved' }, reason: 'the bank says so', by: OPERATOR })
    expect(await settle())
      .to.have.property('why')
      .that.matches(new RegExp(`payment ${paymentId}.*: XX001 .*block 0.* then settle again\\.$`))
    expect(await redrivePayment(store.db, paymentId, { by: OPERATOR }))
      .to.have.property('why')
      .that.matches(new RegExp(`payment ${paymentId}.*: XX001 .*block 0.* then redrive again\\.$`))
    await repair()
    expect(await settle()).to.deep.equal({ done: true })
    expect(await letters()).to.deep.equal([])
    expect(await row()).to.include({ status: 'SUCCESS' })
  })

  it('requeues no dead letter after the repair of a damaged page if its payment is settled', async () => {
    const id = await letterId()
    await repair()
    await store.db.updateTable('payments').set({ status: 'SUCCESS', settled_at: new Date() }).execute()
    expect(await requeue(store.db, id, { by: OPERATOR })).to.include({ done: false })
    expect(await letters()).to.have.length(1)
  })
})
