import { randomUUID } from 'node:crypto'
import { createMerchant, listActions } from '@cashflow/db/operator'
import { OPERATOR } from '@cashflow/testing'
import { expect } from 'chai'
import type { PaymentAnswer, PaymentPageAnswer, PaymentsAnswer } from '../../src/answers.ts'
import { type ConsoleUnderTest, startConsole } from '../start-console.ts'
import { storeParked, storePayment } from '../stored.ts'

describe('payments in the console', () => {
  let operators: ConsoleUnderTest
  let headers: { Cookie: string }
  before(async () => {
    operators = await startConsole()
    headers = { Cookie: await operators.cookieOf() }
  })
  after(() => operators.stop())

  const get = (path: string) => operators.ask(path, { headers })
  const post = (path: string, body: unknown) => operators.ask(path, { method: 'POST', body, headers })
  const list = async (query = '') => (await get(`/api/payments${query}`)).body as unknown as PaymentsAnswer
  const idsOf = ({ payments }: PaymentsAnswer) => payments.map(({ id }) => id)
  const pageOf = async (id: string) => (await get(`/api/payments/${id}`)).body as unknown as PaymentPageAnswer

  it('console payments: lists them newest first in pages of 50, with their amounts and merchants', async () => {
    const stored: string[] = []
    for (let n = 0; n < 51; n++) stored.push((await storePayment(operators.db)).id)
    stored.sort() // Two of one millisecond have no order.
    const first = await list()
    expect(idsOf(first)).to.deep.equal(stored.slice(1).reverse())
    expect(first.payments[0]).to.include({
      ...{ amount: '1.00', currency: 'USD', status: 'PENDING', waiting_for: 'queue', merchant: 'default' },
      ...{ failure_code: null, settled_at: null },
    })
    const second = await list(`?after=${first.next}`)
    expect(idsOf(second)).to.deep.equal(stored.slice(0, 1))
    expect(second.next).to.equal(null)
  })

  it('console payments: filters by status and by what they wait for', async () => {
    const { id } = await storeParked(operators.db)
    const settled = (await storePayment(operators.db)).id
    await post(`/api/payments/${settled}/settle`, { outcome: 'success', reason: 'the bank confirmed it' })
    expect(idsOf(await list('?waiting_for=operator'))).to.deep.equal([id])
    expect(idsOf(await list('?status=SUCCESS'))).to.deep.equal([settled])
    const pending = await list('?status=PENDING')
    const { payments: last } = await list(`?status=PENDING&after=${pending.next}`)
    expect(last.at(-1)).to.include({ id })
    expect(pending.notes).to.deep.equal(['PENDING payments come in the order of their next redrive, parked ones last.'])
    const nothing = await list('?status=SUCCESS&waiting_for=queue')
    expect(nothing).to.deep.equal({ payments: [], next: null, notes: ['Only PENDING payments wait for something.'] })
    expect((await get('/api/payments?status=LATE')).status).to.equal(422)
  })

  it('console payments: finds a payment by its id, and by a reference, once for each merchant that has it', async () => {
    const reference = `A/${randomUUID()}`
    const other = await createMerchant(operators.db, { name: randomUUID(), by: OPERATOR })
    if (!other.done) throw new Error(other.why)
    const own = await storePayment(operators.db, { reference })
    const foreign = await storePayment(operators.db, { reference, merchantId: other.merchant.id })
    const q = encodeURIComponent(reference)
    expect(idsOf(await list(`?q=${own.id.toUpperCase()}`))).to.deep.equal([own.id])
    expect(idsOf(await list(`?q=${own.id}&merchant=${other.merchant.id}`)), 'of another merchant').to.deep.equal([])
    expect(idsOf(await list(`?q=${q}`))).to.have.members([own.id, foreign.id])
    expect(idsOf(await list(`?q=${q}&merchant=${other.merchant.id}`))).to.deep.equal([foreign.id])
    expect(idsOf(await list(`?q=${randomUUID()}`))).to.deep.equal([])
    const nul = await get('/api/payments?q=a%00b')
    expect(nul.status).to.equal(422)
  })

  it('console payments: a payment is shown with its timeline, and with what it waits for', async () => {
    const { id, letter } = await storeParked(operators.db, 'the provider refuses it')
    const page = await pageOf(id)
    expect(page.payment).to.include({ id, status: 'PENDING', waiting_for: 'operator' })
    expect(page.timeline.map(({ what }) => what)).to.deep.equal(['payment.created', 'parked', 'dead letter'])
    expect(page.timeline[0]?.after_ms).to.equal(null)
    expect(page.timeline[1]?.after_ms).to.be.a('number')
    expect(page.waits[0]).to.equal('It waits for an operator. It is parked: requeue its dead letter, or settle it.')
    expect(page).to.deep.include({ dead_letter: letter, can: { settle: true, redrive: false }, findings: [] })
    for (const unknown of [randomUUID(), 'x'])
      expect((await get(`/api/payments/${unknown}`)).status, unknown).to.equal(404)
  })

  // Promise 136
  it('console payments: an operator settles a payment once, under the name of the login', async () => {
    const { id } = await storePayment(operators.db)
    const body = { outcome: 'failed', failure_code: 'card_declined', reason: 'refused, says the bank' }
    expect((await post(`/api/payments/${id}/settle`, body)).status).to.equal(200)
    const { payment, can } = await pageOf(id)
    expect(payment).to.include({ status: 'FAILED', failure_code: 'card_declined', waiting_for: null })
    expect(can).to.deep.equal({ settle: false, redrive: false })
    const again = await post(`/api/payments/${id}/settle`, { outcome: 'success', reason: 'again' })
    expect(again.status).to.equal(409)
    expect(again.body?.error).to.be.a('string')
    const [act, ...more] = await listActions(operators.db, { target: id, limit: 10 })
    expect(act).to.include({ action: 'payments settle', reason: body.reason })
    expect(act?.via).to.match(/^console as /)
    expect(more).to.deep.equal([])
  })

  it('console payments: a settlement needs a reason and a known outcome', async () => {
    const { id } = await storePayment(operators.db)
    for (const body of [
      { outcome: 'success' },
      { outcome: 'success', reason: ' ' },
      { outcome: 'success', reason: 'a\nb' },
      { outcome: 'maybe', reason: 'x' },
      { outcome: 'failed', failure_code: 'canceled', reason: 'x' },
      { outcome: 'success', reason: 'x', more: 1 },
    ]) {
      const answer = await post(`/api/payments/${id}/settle`, body)
      expect(answer.status, JSON.stringify(body)).to.equal(422)
    }
    expect((await pageOf(id)).payment.status).to.equal('PENDING')
  })

  it('console payments: an operator redrives a payment, and not one that is parked', async () => {
    const { id } = await storePayment(operators.db)
    expect((await post(`/api/payments/${id}/redrive`, { reason: 'it is late' })).status).to.equal(200)
    expect((await pageOf(id)).timeline.map(({ what }) => what)).to.include('redrive')
    const parked = await storeParked(operators.db)
    const refused = await post(`/api/payments/${parked.id}/redrive`, { reason: 'it is late' })
    expect(refused.status).to.equal(409)
    expect(refused.body?.error).to.match(/parked/)
  })

  it('console payments: shows a hostile reference as it is stored', async () => {
    const reference = `<img src=x onerror=alert(1)>${'\u202e'}${'💸'.repeat(100)}`
    const { id } = await storePayment(operators.db, { reference })
    const { payments } = await list(`?q=${id}`)
    expect((payments[0] as PaymentAnswer).reference).to.equal(reference)
  })
})
