import { type Check, expectCreated, expectEqual, expectProblem } from './check.ts'

const TWINS = 20

export const IDEMPOTENCY: readonly Check[] = [
  {
    area: 'idempotency',
    rule: 'a repeated request gets the same 201, byte for byte',
    async run({ create, newName }) {
      const [key, body] = [newName(), { reference: newName(), metadata: { b: '2', a: '1' } }]
      const first = await create(key, body)
      expectCreated(first, { replayed: false })
      const second = await create(key, body)
      expectCreated(second, { replayed: true })
      expectEqual(second.text, first.text, 'the second answer')
      expectEqual(second.headers.get('location'), first.headers.get('location'), 'Location of the second answer')
    },
  },
  {
    area: 'idempotency',
    rule: 'a key is the same with quotes and without',
    async run({ create, ask, newName }) {
      const key = newName()
      const body = JSON.stringify({ amount: '1.00', currency: 'USD', reference: newName() })
      const first = await create(key, body)
      const headers = { 'content-type': 'application/json', 'idempotency-key': key }
      const second = await ask('/payments', { method: 'POST', headers, body })
      expectCreated(second, { replayed: true })
      expectEqual(second.text, first.text, 'the second answer')
    },
  },
  {
    area: 'idempotency',
    rule: 'a request with other spelling and the same meaning is a repetition',
    async run({ create, newName }) {
      const [key, reference] = [newName(), newName()]
      const first = await create(key, `{"amount":100.5,"currency":"USD","reference":"${reference}"}`)
      const second = await create(key, `{ "reference": "${reference}", "currency": "USD", "amount": "100.50" }`)
      expectCreated(second, { replayed: true })
      expectEqual(second.text, first.text, 'the second answer')
    },
  },
  {
    area: 'idempotency',
    rule: 'a key with another payment gets 422, which names the payment of the key',
    async run({ create, newName }) {
      const [key, reference] = [newName(), newName()]
      const first = await create(key, { reference })
      const other = await create(key, { reference, amount: '2.00' })
      expectProblem(other, 422, 'idempotency-mismatch')
      expectEqual(other.body?.payment_id, first.body?.id, 'the member payment_id')
      expectEqual(other.body?.mismatch, ['amount'], 'the member mismatch')
    },
  },
  {
    area: 'idempotency',
    rule: 'a reference under another key gets 409, which names its payment',
    async run({ create, newName }) {
      const reference = newName()
      const first = await create(newName(), { reference })
      for (const [amount, code] of [
        ['1.00', 'duplicate-reference'],
        ['2.00', 'reference-mismatch'],
      ] as const) {
        const other = await create(newName(), { reference, amount })
        expectProblem(other, 409, code)
        expectEqual(other.body?.payment_id, first.body?.id, 'the member payment_id')
      }
    },
  },
  {
    area: 'idempotency',
    rule: `${TWINS} equal requests at the same time get the same 201`,
    async run({ create, newName, ask }) {
      const [key, reference] = [newName(), newName()]
      const answers = await Promise.all(Array.from({ length: TWINS }, () => create(key, { reference })))
      expectEqual([...new Set(answers.map(({ status }) => status))], [201], 'the statuses')
      expectEqual(new Set(answers.map(({ text }) => text)).size, 1, 'the number of different answers')
      const listed = await ask(`/payments?idempotency_key=${key}`)
      expectEqual((listed.body?.data as unknown[] | undefined)?.length, 1, 'the number of payments')
    },
  },
  {
    area: 'idempotency',
    rule: 'a refused request leaves its key and its reference free',
    async run({ create, newName }) {
      const [key, reference] = [newName(), newName()]
      expectProblem(await create(key, { reference, amount: '0' }), 400, 'validation-error')
      expectCreated(await create(key, { reference }), { replayed: false })
    },
  },
  {
    area: 'idempotency',
    rule: 'a payment is in the list of its key as soon as it has its 201',
    async run({ create, ask, newName }) {
      const key = newName()
      const { body } = await create(key)
      const listed = await ask(`/payments?idempotency_key=${key}`)
      const ids = (listed.body?.data as { id: unknown }[] | undefined)?.map(({ id }) => id)
      expectEqual(ids, [body?.id], 'the ids of the list')
    },
  },
  {
    area: 'idempotency',
    rule: 'the client creates one payment with one event by two calls with one key',
    async run({ client, newName }) {
      const [idempotencyKey, reference] = [newName(), newName()]
      const payment = { amount: '1.00', currency: 'USD', reference } as const
      const first = await client.payments.create(payment, { idempotencyKey })
      expectEqual(await client.payments.create(payment, { idempotencyKey }), first, 'the second payment')
      const events = await client.payments.events(first.id)
      const created = events.filter(({ type }) => type === 'payment.created')
      expectEqual(created.length, 1, 'the number of events payment.created')
    },
  },
]
