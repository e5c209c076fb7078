import { randomUUID } from 'node:crypto'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { expect } from 'chai'
import { sql } from 'kysely'
import { bodyWith, expectProblem, MEMBERS, newReference, pointers, post, stored, textAsCreated } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

describe('POST /payments', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  for (const mount of ['/payments', '/api/v1/payments']) {
    it(`answers 201 with the payment and its Location at ${mount}`, async () => {
      const reference = newReference()
      const response = await post(api, bodyWith({ reference }), mount)
      expect(response.status).to.equal(201)
      expect(response.body).to.have.all.keys(...MEMBERS)
      expect(response.body).to.include({
        amount: 100.5,
        amount_minor: 10_050,
        currency: 'USD',
        reference,
        status: 'PENDING',
      })
      expect(response.body.id).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      expect(new Date(response.body.created_at).toISOString()).to.equal(response.body.created_at)
      expect(response.headers.location).to.equal(`${mount}/${response.body.id}`)
      expect(response.headers['content-type']).to.match(/^application\/json/)
      expect(response.headers).not.to.have.any.keys('x-powered-by', 'etag')
      const found = await api.agent.get(`${mount}/${response.body.id}`)
      expect(textAsCreated(found)).to.equal(response.text)
    })
  }

  // Promise 50
  it('answers 409 to the reference of a pruned payment, naming the payment that GET does not find', async () => {
    const reference = newReference()
    const { id } = (await post(api, bodyWith({ reference }))).body
    await sql`update payments set status = 'SUCCESS', settled_at = now(), redrive_at = null where id = ${id}`.execute(
      api.db,
    )
    await sql`
      insert into pruned_references (merchant_id, reference, id, amount_minor, currency)
      select merchant_id, reference, id, amount_minor, currency from payments where id = ${id}`.execute(api.db)
    await sql`delete from payments where id = ${id}`.execute(api.db)
    expectProblem(await api.agent.get(`/payments/${id}`), 404, 'not-found')
    const again = await post(api, bodyWith({ reference }))
    expectProblem(again, 409, 'duplicate-reference')
    expect(again.body.payment_id).to.equal(id)
    const other = await post(api, bodyWith({ reference, amount: '1' }))
    expectProblem(other, 409, 'reference-mismatch')
    expect(other.body).to.deep.include({ payment_id: id, mismatch: ['amount'] })
  })

  // Promise 4
  it('stores the payment, its event and its message, with the id of the request', async () => {
    const reference = newReference()
    const response = await api.agent
      .post('/payments')
      .set('Request-Id', 'order-7')
      .send({ amount: 8.2, currency: 'ETB', reference })
    const { id } = response.body
    const payment = await api.db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()
    expect(payment).to.include({ reference, amount_minor: '820', currency: 'ETB', status: 'PENDING', attempts: 0 })
    expect(payment.redrive_at?.getTime()).to.be.greaterThan(payment.created_at.getTime())
    const events = await api.db.selectFrom('payment_events').selectAll().where('payment_id', '=', id).execute()
    expect(events).to.have.length(1)
    expect(events[0]).to.deep.include({
      sequence: 1,
      type: 'payment.created',
      actor: 'api',
      request_id: 'order-7',
      data: { amount: '8.20', currency: 'ETB', reference },
    })
    const messages = await api.db.selectFrom('outbox_messages').selectAll().where('key', '=', id).execute()
    expect(messages).to.have.length(1)
    expect(messages[0]).to.deep.include({
      topic: 'payment.created',
      payload: { payment_id: id },
      headers: { 'x-request-id': 'order-7' },
      mandatory: true,
    })
  })

  const SAME = ['100.50', '100.5', '"100.500"', '1005e-1']
  for (const amount of SAME) {
    // Promise 32
    it(`answers 409 duplicate-reference with the id of the stored payment to ${amount} if 100.50 is stored`, async () => {
      const reference = newReference()
      const first = await post(api, bodyWith({ reference }))
      const before = await stored(api)
      const second = await post(api, bodyWith({ reference, amount }), '/api/v1/payments')
      expectProblem(second, 409, 'duplicate-reference')
      expect(second.body.payment_id).to.equal(first.body.id)
      expect(second.body).not.to.have.property('mismatch')
      expect(await stored(api)).to.deep.equal(before)
    })
  }

  const DIFFERENT: [name: string, other: { amount?: string; currency?: string }, mismatch: string[]][] = [
    ['another amount', { amount: '999.99' }, ['amount']],
    ['another currency', { currency: 'ETB' }, ['currency']],
    ['another amount and currency', { amount: '999.99', currency: 'ETB' }, ['amount', 'currency']],
  ]
  for (const [name, other, mismatch] of DIFFERENT) {
    // Promise 32
    it(`answers 409 reference-mismatch, without stored values, to a stored reference with ${name}`, async () => {
      const reference = newReference()
      const first = await post(api, bodyWith({ reference, amount: '8765.43' }))
      const before = await stored(api)
      const second = await post(api, bodyWith({ reference, amount: '8765.43', ...other }))
      expectProblem(second, 409, 'reference-mismatch')
      expect(second.body).to.include({ payment_id: first.body.id }).and.to.deep.include({ mismatch })
      expect(second.text).not.to.match(/8765\.43|USD/)
      expect(await stored(api)).to.deep.equal(before)
    })
  }

  // Promise 32
  it('stores one of 50 concurrent payments with one reference and 25 amounts, and compares the others with it', async () => {
    const reference = newReference()
    const bodies = Array.from({ length: 25 }, (_, i) => bodyWith({ reference, amount: `${i + 1}` }))
    const responses = await Promise.all([...bodies, ...bodies].map((body) => post(api, body)))
    const codes = responses.map(({ status, body }) => (status === 201 ? 'created' : body.code))
    const count = (code: string) => codes.filter((given) => given === code).length
    expect([count('created'), count('duplicate-reference'), count('reference-mismatch')]).to.deep.equal([1, 1, 48])
    const created = codes.indexOf('created')
    expect(codes.indexOf('duplicate-reference')).to.equal((created + 25) % 50)
    for (const { status, body } of responses) {
      if (status === 409) expect(body.payment_id).to.equal(responses[created]?.body.id)
      if (body.code === 'reference-mismatch') expect(body.mismatch).to.deep.equal(['amount'])
    }
  })

  it('stores payments without delay while another one waits for a transaction that has inserted its reference', async () => {
    const held = newReference()
    const others = Array.from({ length: 20 }, newReference)
    const holder = await api.db.startTransaction().execute()
    await sql`insert into payments (id, merchant_id, reference, amount_minor, currency, status)
      values (${randomUUID()}, ${DEFAULT_MERCHANT_ID}, ${held}, 1, 'USD', 'PENDING')`.execute(holder)
    const waiting = post(api, bodyWith({ reference: held }))
    const responses = await Promise.all(others.map((reference) => post(api, bodyWith({ reference }))))
    expect(responses.map(({ status }) => status)).to.deep.equal(others.map(() => 201))
    await holder.rollback().execute()
    // 503 if this machine took longer than the request's five seconds.
    expect((await waiting).status).to.be.oneOf([201, 503])
  })

  // Promise 3
  it('stores a payment that 50 requests send at the same time once: one gets 201, 49 get 409 naming it', async () => {
    const body = bodyWith()
    const before = await stored(api)
    const responses = await Promise.all(Array.from({ length: 50 }, () => post(api, body)))
    const created = responses.filter(({ status }) => status === 201)
    const duplicates = responses.filter(({ status }) => status === 409)
    expect([created.length, duplicates.length]).to.deep.equal([1, 49])
    expect(new Set(duplicates.map(({ body }) => body.payment_id))).to.deep.equal(new Set([created[0]?.body.id]))
    expect(await stored(api)).to.deep.equal({
      payments: before.payments + 1,
      events: before.events + 1,
      messages: before.messages + 1,
    })
  })

  const ACCEPTED: [amount: string, minor: string, shown: string][] = [
    ['100.50', '10050', '100.50'],
    ['0.07', '7', '0.07'],
    ['8.2', '820', '8.20'],
    ['1136.1', '113610', '1136.10'],
    ['1e2', '10000', '100.00'],
    ['100.500', '10050', '100.50'],
    ['"100.50"', '10050', '100.50'],
    ['9999999999999.99', '999999999999999', '9999999999999.99'],
    ['"9999999999999.99"', '999999999999999', '9999999999999.99'],
  ]
  for (const [amount, minor, shown] of ACCEPTED) {
    // Promise 5
    it(`stores the amount ${amount} as ${minor} minor units, and shows ${shown}`, async () => {
      const response = await post(api, bodyWith({ amount }))
      expect(response.status, response.text).to.equal(201)
      expect(response.text).to.contain(`"amount":${shown},"amount_minor":${minor},`)
      const row = await api.db
        .selectFrom('payments')
        .select('amount_minor')
        .where('id', '=', response.body.id)
        .executeTakeFirstOrThrow()
      expect(row.amount_minor).to.equal(minor)
    })
  }

  const REFUSED = [
    ...['1e21', '100.505', '100.50000000000000001', '-0', '0', '0.00', '-1', '0.001', '1e999999999', '10000000000000'],
    ...['"NaN"', '"1e5"', '"٣"', '"-1"', '"+1"', '""', '" 1"', '"1,5"', '"0x10"', '"Infinity"', '"100.505"', '"0"'],
    ...['null', 'true', '[]', '{}', '[100]', '{"source":"100"}'],
  ]
  for (const amount of REFUSED) {
    it(`rejects the amount ${amount}, names it, and stores nothing`, async () => {
      const before = await stored(api)
      expect(pointers(await post(api, bodyWith({ amount })))).to.deep.equal(['#/amount'])
      expect(await stored(api)).to.deep.equal(before)
    })
  }
})
