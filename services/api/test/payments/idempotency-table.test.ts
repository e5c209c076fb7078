import { randomUUID } from 'node:crypto'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import {
  bodyWith,
  expectCreated,
  expectProblem,
  expectReplayOf,
  newReference,
  post,
  postWithKey,
  stored,
  textAsCreated,
} from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

describe('Idempotency-Key: what integrators expect', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  const send = (key: string, body: string, path?: string) => postWithKey(api, key, body, path)

  async function settle(id: string, status = 'SUCCESS'): Promise<void> {
    const settled = sql`update payments set status = ${status}, settled_at = now(), redrive_at = null where id = ${id}`
    await settled.execute(api.db)
  }

  const rowsOf = async (key: string) =>
    (await api.db.selectFrom('payments').select('id').where('idempotency_key', '=', key).execute()).length

  /** Creates a payment with a new key. */
  async function create() {
    const [key, body] = [randomUUID(), bodyWith()]
    return { key, body, first: expectCreated(await send(key, body)) }
  }

  // What integrators know from the APIs that they use, from the draft and from bug reports, and what they get here.
  function expects(source: string, expectation: string, test: () => Promise<void>): void {
    // Promise 80
    it(`${source}: ${expectation}`, test).timeout(20_000)
  }

  expects('draft-07 §2.1', 'a key is a String of structured fields', async () => {
    const [key, body] = [randomUUID(), bodyWith()]
    expectReplayOf(expectCreated(await send(`"${key}"`, body)), await send(`"${key}"`, body))
  })
  expects('draft-07 §2.1', 'a key without quotes, as most clients send it, is the same key', async () => {
    const [key, body] = [randomUUID(), bodyWith()]
    expectReplayOf(expectCreated(await send(key, body)), await send(`"${key}"`, body))
  })
  expects('draft-07 §2.3', 'a key lives as long as the API says: forever', async () => {
    const { key, body, first } = await create()
    await settle(first.body.id)
    await sql`insert into pruned_references (merchant_id, reference, idempotency_key, id, amount_minor, currency)
          select merchant_id, reference, idempotency_key, id, amount_minor, currency from payments
          where id = ${first.body.id}`.execute(api.db)
    await sql`delete from payments where id = ${first.body.id}`.execute(api.db)
    expectProblem(await api.agent.get(`/payments/${first.body.id}`), 404, 'not-found')
    expectReplayOf(first, await send(key, body))
    expectProblem(await send(key, bodyWith()), 422, 'idempotency-mismatch')
    expect(await rowsOf(key)).to.equal(0)
  })
  expects('draft-07 §2.7', 'no key is needed, and a bad one is a 400', async () => {
    expectCreated(await post(api, bodyWith()))
    expectProblem(await send('"a"b', bodyWith()), 400, 'bad-request')
  })
  expects(
    'draft-07 §2.7',
    'the key of another payment is a 422 that names it and what differs, without values',
    async () => {
      const [key, reference] = [randomUUID(), newReference()]
      const first = expectCreated(await send(key, bodyWith({ reference, amount: '8765.43' })))
      const before = await stored(api)
      const others: [body: string, mismatch: string[]][] = [
        [bodyWith({ reference, amount: '1' }), ['amount']],
        [bodyWith({ reference, amount: '8765.43', currency: 'ETB' }), ['currency']],
        [bodyWith({ reference, amount: '8765.43' }).replace('}', ', "metadata": {"a": "b"}}'), ['metadata']],
        [bodyWith({ reference: 'REF-OTHER', amount: '8765.43' }), ['reference']],
        [
          bodyWith({ currency: 'ETB' }).replace('}', ', "metadata": {"a": "b"}}'),
          ['amount', 'currency', 'metadata', 'reference'],
        ],
      ]
      for (const [body, mismatch] of others) {
        const other = await send(key, body)
        expectProblem(other, 422, 'idempotency-mismatch')
        expect(other.body).to.deep.include({ payment_id: first.body.id, mismatch })
        expect(other.text).not.to.match(/8765\.43|USD|ETB/)
      }
      expect(await stored(api)).to.deep.equal(before)
    },
  )
  expects('draft-07 §2.6', 'a request in flight makes its twin wait, not fail with 409', async () => {
    const [key, body] = [randomUUID(), bodyWith()]
    api.proxy.holdAnswerTo('with "given"')
    const [first, twin] = [send(key, body), send(key, body)]
    const held = setInterval(() => api.proxy.held > 0 && api.proxy.restore(), 10)
    const both = await Promise.all([first, twin])
    clearInterval(held)
    expect(both.map(({ status }) => status)).to.deep.equal([201, 201])
    expect(both[0].text).to.equal(both[1].text)
    expect(both.filter(({ headers }) => headers['idempotent-replayed'])).to.have.length(1)
  })
  expects('Stripe v1', 'an error of the server is not stored: the key works afterwards', async () => {
    const [key, body] = [randomUUID(), bodyWith()]
    api.proxy.cut()
    expectProblem(await send(key, body), 503, 'unavailable')
    api.proxy.restore()
    let again = await send(key, body)
    while (again.status === 503) again = await send(key, body)
    expectCreated(again)
  })
  expects('Stripe v1', 'a request that is not valid stores nothing: the key works afterwards', async () => {
    const key = randomUUID()
    expectProblem(await send(key, bodyWith({ amount: '-1' })), 400, 'validation-error')
    expectCreated(await send(key, bodyWith()))
  })
  expects('Stripe v2', 'a replay after the outcome is the creation, PENDING, and GET has the outcome', async () => {
    const { key, body, first } = await create()
    await settle(first.body.id)
    const replay = await send(key, body)
    expectReplayOf(first, replay)
    expect(replay.body.status).to.equal('PENDING')
    expect((await api.agent.get(replay.headers.location as string)).body.status).to.equal('SUCCESS')
  })
  expects('Adyen', 'a key has up to 255 characters, not 64', async () => {
    const [key, body] = ['k'.repeat(255), bodyWith()]
    expectReplayOf(expectCreated(await send(key, body)), await send(key, body))
    expectProblem(await send(`${key}k`, body), 400, 'bad-request')
  })
  expects(
    'Agentic Commerce Protocol §6',
    'bodies are compared by meaning: 100.5 is 100.50, and the order of members does not matter',
    async () => {
      const [key, reference] = [randomUUID(), newReference()]
      const first = expectCreated(
        await send(
          key,
          `{"amount": 100.50, "currency": "USD", "reference": "${reference}", "metadata": {"b": "2", "ä": "é", "a": "1"}}`,
        ),
      )
      const metadata = '{ "\\u00e4":"\\u00e9","a":"1","b":"2"}'
      for (const amount of ['100.5', '"100.500"', '1005e-1'])
        expectReplayOf(
          first,
          await send(key, `{"metadata":${metadata},"reference":"${reference}","currency":"USD","amount":${amount}}`),
        )
    },
  )
  expects(
    'Agentic Commerce Protocol §6',
    'a key is the same at both paths of the API, and each answers with its own Location',
    async () => {
      const [key, body] = [randomUUID(), bodyWith()]
      const first = expectCreated(await send(key, body, '/payments'))
      const replay = await send(key, body, '/api/v1/payments')
      expectReplayOf(first, replay)
      expect(replay.headers.location).to.equal(`/api/v1/payments/${first.body.id}`)
    },
  )
  expects('Increase, GoCardless', 'a conflict names the payment, which the client can then read', async () => {
    const key = randomUUID()
    const first = expectCreated(await send(key, bodyWith()))
    const { body } = await send(key, bodyWith())
    expect(textAsCreated(await api.agent.get(`/payments/${body.payment_id}`))).to.equal(first.text)
  })
  expects('Formance', 'a replay says that it is one, and a creation does not', async () => {
    const [key, body] = [randomUUID(), bodyWith()]
    const answers = [await send(key, body), await send(key, body)]
    expect(answers.map(({ headers }) => headers['idempotent-replayed'])).to.deep.equal([undefined, 'true'])
  })
  expects('Square', 'a retry gets the original result, also a year later', async () => {
    const { key, body, first } = await create()
    const { id } = first.body
    await sql`update payments set created_at = created_at - interval '1 year' where id = ${id}`.execute(api.db)
    const found = await api.agent.get(`/payments/${id}`)
    expectReplayOf(Object.assign(found, { text: textAsCreated(found) }), await send(key, body))
  })
  expects('Kill Bill #178', 'a retry creates no second payment, event or message', async () => {
    const { key, body } = await create()
    const before = await stored(api)
    for (let n = 0; n < 3; n++) await send(key, body)
    expect(await stored(api)).to.deep.equal(before)
  })
  expects('Kill Bill #660', 'a retry that meets the failure of its payment creates no second one', async () => {
    const { key, body, first } = await create()
    const [before, { held }] = [await stored(api), api.proxy]
    api.proxy.holdAnswerTo('with "given"')
    const retry = send(key, body)
    await eventually(() => expect(api.proxy.held).to.equal(held + 1))
    await settle(first.body.id, 'FAILED')
    api.proxy.restore()
    for (const replay of [await retry, await send(key, body)]) expectReplayOf(first, replay)
    expect(await stored(api)).to.deep.equal(before)
  })
  expects(
    'a natural key next to a client’s key',
    'a reference that another key, or a request without one, has taken is a 409 as without a key',
    async () => {
      const [key, body] = [randomUUID(), bodyWith()]
      const keyed = expectCreated(await send(key, body))
      const keyless = bodyWith()
      const other = expectCreated(await post(api, keyless))
      for (const [taken, by] of [
        [await send(randomUUID(), body), keyed],
        [await post(api, body), keyed],
        [await send(randomUUID(), keyless), other],
      ] as const) {
        expectProblem(taken, 409, 'duplicate-reference')
        expect(taken.body.payment_id).to.equal(by.body.id)
        expect(taken.headers).not.to.have.property('idempotent-replayed')
      }
      const different = await send(randomUUID(), body.replace('}', ', "metadata": {"a": "b"}}'))
      expectProblem(different, 409, 'reference-mismatch')
      expect(different.body.mismatch).to.deep.equal(['metadata'])
    },
  )
  expects(
    'a natural key next to a client’s key',
    'a key and a reference of two payments are a 422: the key decides',
    async () => {
      const [key, reference] = [randomUUID(), newReference()]
      const first = expectCreated(await send(key, bodyWith()))
      expectCreated(await post(api, bodyWith({ reference })))
      const both = await send(key, bodyWith({ reference }))
      expectProblem(both, 422, 'idempotency-mismatch')
      expect(both.body).to.deep.include({ payment_id: first.body.id, mismatch: ['reference'] })
    },
  )
  expects(
    'Lago #6319, Kill Bill #639',
    'a payment that a retry finds has its message, so it is processed',
    async () => {
      const [key, body] = [randomUUID(), bodyWith()]
      api.proxy.loseAnswerTo('with "given"')
      const first = expectCreated(await send(key, body))
      const replay = await send(key, body)
      expectReplayOf(first, replay)
      const messages = api.db.selectFrom('outbox_messages').select('topic').where('key', '=', replay.body.id)
      expect(await messages.execute()).to.deep.equal([{ topic: 'payment.created' }])
    },
  )
})
