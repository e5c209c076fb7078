import { defined } from '@cashflow/async'
import { answer, type Script, type ScriptedServer, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import {
  ApiError,
  type CashflowClient,
  type CashflowError,
  createClient,
  NoAnswerError,
  type Retry,
} from '../src/index.ts'
import { readRetryAfter, retryDelayMs } from '../src/send.ts'

const PAYMENT = {
  ...{ id: '01a200e6-61da-7305-a53d-01a16fbc86b7', amount: 100.5, amount_minor: 10050, currency: 'USD' },
  ...{ reference: 'REF-1', status: 'PENDING', created_at: '2026-11-22T01:37:08.058Z' },
}
const NEW = { amount: '100.50', currency: 'USD', reference: 'REF-1' } as const

const problem = (status: number, code: string, retryable: boolean, headers = {}) =>
  answer(status, { title: code, status, detail: `It is ${code}.`, code, retryable, request_id: 'r1' }, headers)
const created = answer(201, PAYMENT)
const noAnswer: Script = (_request, response) => void response.socket?.destroy()
const halfAnAnswer: Script = (_request, response) => {
  response.writeHead(201, { 'content-type': 'application/json', 'content-length': '1000' })
  response.write('{"id":', () => response.socket?.destroy())
}

describe('@cashflow/client: send', () => {
  let server: ScriptedServer
  let retries: Retry[]
  beforeEach(async () => {
    server = await startScriptedServer()
    retries = []
  })
  afterEach(() => server.close())

  /** Answers with the scripts in turn, and with the last one from then on. */
  function script(...scripts: Script[]): void {
    let turn = 0
    server.script = (request, response) => {
      defined(scripts[Math.min(turn++, scripts.length - 1)], 'script')(request, response)
    }
  }

  const clientWith = (options = {}) =>
    createClient({
      ...{ url: new URL('/', server.url).href, key: 'cf_test_key', timeoutMs: 20_000 },
      ...{ onRetry: (retry: Retry) => retries.push(retry), ...options },
    })

  async function failureOf(call: Promise<unknown>): Promise<CashflowError> {
    return call.then(
      () => expect.fail('the call has not failed'),
      (error) => error,
    )
  }

  // Promise 97
  for (const [name, first] of Object.entries({
    'no answer': noAnswer,
    'half an answer': halfAnAnswer,
    'an answer that is no JSON': answer(201, '<html>'),
    'an object that is no payment': answer(201, {}),
    'a payment without an id': answer(201, { ...PAYMENT, id: undefined }),
    'a payment without an amount': answer(201, { ...PAYMENT, amount: undefined }),
    'a 408': problem(408, 'request-timeout', true),
    'a 429': problem(429, 'quota-exceeded', true),
    'a 500': problem(500, 'internal', true),
    'a 503': problem(503, 'overloaded', true),
    'a 502 of a proxy': answer(502, '<html>bad gateway</html>'),
    'a retryable 409': problem(409, 'not-advanceable', true),
  }))
    it(`client: after ${name} create sends the same request with the same key`, async () => {
      script(first, first, created)
      const payment = await clientWith().payments.create({ ...NEW, metadata: { order: '1' } })
      expect(payment).to.include({ id: PAYMENT.id, amount: '100.50', amount_minor: 10050 })
      expect(server.seen).to.have.length(3)
      expect(new Set(server.seen.map(({ body }) => body))).to.have.keys(
        '{"amount":"100.50","currency":"USD","reference":"REF-1","metadata":{"order":"1"}}',
      )
      const keys = new Set(server.seen.map(({ headers }) => headers['idempotency-key']))
      expect([...keys].join()).to.match(/^"[0-9a-f-]{36}"$/)
      expect(server.seen[0]).to.deep.include({ method: 'POST', path: '/api/v1/payments' })
      expect(server.seen[0]?.headers).to.include({ authorization: 'Bearer cf_test_key' })
      expect(retries.map(({ attempt }) => attempt)).to.deep.equal([1, 2])
    })

  for (const [name, call] of Object.entries({
    get: (client: CashflowClient) => client.payments.get(PAYMENT.id),
    waitFor: (client: CashflowClient) => client.payments.waitFor(PAYMENT.id),
    cancel: (client: CashflowClient) => client.payments.cancel(PAYMENT.id),
    listPage: (client: CashflowClient) => client.payments.listPage(),
    'events of a payment': (client: CashflowClient) => client.payments.events(PAYMENT.id),
    events: (client: CashflowClient) => client.events().next(),
  }))
    it(`client: ${name} throws unreadable-answer for an answer that is not the API's`, async () => {
      const onRetry = ({ error }: Retry) => {
        throw error
      }
      for (const body of [{}, { data: [{}] }, { data: 1, next_cursor: 'c' }]) {
        script(answer(200, body))
        const error = await failureOf(call(clientWith({ onRetry })))
        expect(error, JSON.stringify(body)).to.be.instanceOf(NoAnswerError)
        expect(error).to.include({ code: 'unreadable-answer', status: 200, retryable: true })
      }
    })

  for (const [name, status, code] of [
    ['a 400', 400, 'validation-error'],
    ['a 401', 401, 'unauthenticated'],
    ['a 409', 409, 'duplicate-reference'],
    ['a 422', 422, 'idempotency-mismatch'],
    ['a 429 to a wrong key', 429, 'too-many-wrong-keys'],
    ['a 503 that says that it is final', 503, 'retired'],
  ] as const)
    it(`client: ${name} is thrown at once, with code, status and request id`, async () => {
      script(problem(status, code, false, { 'request-id': 'r1' }))
      const error = await failureOf(clientWith().payments.create(NEW))
      expect(error).to.be.instanceOf(ApiError)
      expect(error).to.include({ code, status, retryable: false, requestId: 'r1', message: `It is ${code}.` })
      expect(error).to.include({ mayHaveHappened: false })
      expect(error.problem).to.include({ code, title: code })
      expect(server.seen).to.have.length(1)
    })

  it('client: an error after an attempt without an answer says that the payment may be stored, and has the key', async () => {
    script(noAnswer, problem(401, 'unauthenticated', false))
    const error = await failureOf(clientWith().payments.create(NEW))
    expect(error).to.include({ code: 'unauthenticated', retryable: false, mayHaveHappened: true })
    expect(error.idempotencyKey).to.match(/^[0-9a-f-]{36}$/)
    script(problem(429, 'quota-exceeded', true), problem(403, 'forbidden', false))
    expect(await failureOf(clientWith().payments.create(NEW))).to.include({ mayHaveHappened: false })
  })

  it('client: an idempotency key of the caller is sent as a structured string', async () => {
    script(created)
    await clientWith().payments.create(NEW, { idempotencyKey: 'order "7" \\ 1' })
    expect(server.seen[0]?.headers['idempotency-key']).to.equal('"order \\"7\\" \\\\ 1"')
  })

  it('client: an attempt without an answer ends after attemptTimeoutMs, and the call after timeoutMs', async () => {
    script(() => {}, created)
    await clientWith({ attemptTimeoutMs: 50 }).payments.create(NEW)
    expect(retries[0]?.error).to.be.instanceOf(NoAnswerError).and.to.include({ code: 'no-answer', retryable: true })
    script(() => {})
    const error = await failureOf(clientWith({ timeoutMs: 50 }).payments.get(PAYMENT.id))
    expect(error).to.be.instanceOf(NoAnswerError).and.to.include({ mayHaveHappened: true })
    expect(error.message).to.match(/no answer within \d+ ms/)
  })

  it('client: waitFor with a timeoutMs below 2 seconds asks again until the payment is settled', async () => {
    const pending = answer(200, PAYMENT)
    script(pending, pending, answer(200, { ...PAYMENT, status: 'SUCCESS' }))
    const payment = await clientWith().payments.waitFor(PAYMENT.id, { timeoutMs: 1_900 })
    expect(payment.status).to.equal('SUCCESS')
    expect(server.seen).to.have.length(3)
  })

  for (const [how, last] of Object.entries({ 'still PENDING': answer(200, PAYMENT), 'no answer': () => {} }))
    it(`client: waitFor returns a PENDING payment at its deadline, also if the last request gets: ${how}`, async () => {
      script(answer(200, PAYMENT), last)
      const began = performance.now()
      const payment = await clientWith().payments.waitFor(PAYMENT.id, { timeoutMs: 1_900 })
      expect(payment).to.include({ id: PAYMENT.id, status: 'PENDING' })
      expect(performance.now() - began).to.be.within(1_890, 5_000)
    })

  it('client: waitFor throws if no request of it has an answer', async () => {
    script(noAnswer)
    const error = await failureOf(clientWith().payments.waitFor(PAYMENT.id, { timeoutMs: 300 }))
    expect(error).to.include({ code: 'no-answer' })
  })

  it('client: waitFor throws if a later request is refused', async () => {
    script(answer(200, PAYMENT), problem(401, 'unauthenticated', false))
    expect(await failureOf(clientWith().payments.waitFor(PAYMENT.id, { timeoutMs: 1_900 }))).to.include({ status: 401 })
  })

  it('client: a wait for Retry-After that does not end before the deadline is not begun', async () => {
    script(problem(503, 'overloaded', true, { 'retry-after': '3600' }))
    const error = await failureOf(clientWith().payments.get(PAYMENT.id))
    expect(error).to.include({ code: 'overloaded', retryAfterMs: 3_600_000 })
    expect(server.seen).to.have.length(1)
  })

  it('client: waits for Retry-After before it sends a request again', async () => {
    script(problem(503, 'overloaded', true, { 'retry-after': '1' }), answer(200, PAYMENT))
    await clientWith().payments.get(PAYMENT.id)
    expect(retries[0]?.delayMs).to.be.within(1_000, 1_200)
  })

  it('client: sends no request before the end of a Retry-After of years', async () => {
    script(problem(503, 'overloaded', true, { 'retry-after': '999999999' }))
    const signal = AbortSignal.timeout(300)
    const { payments } = clientWith({ timeoutMs: Number.POSITIVE_INFINITY })
    const error = await failureOf(payments.get(PAYMENT.id, { signal }))
    expect(error.name).to.equal('TimeoutError')
    expect(server.seen).to.have.length(1)
  })

  it('client: a signal ends a call in the middle of a request, and between two, with its reason', async () => {
    for (const waiting of [() => {}, problem(503, 'overloaded', true, { 'retry-after': '10' })]) {
      const controller = new AbortController()
      const reason = new Error('the shop closes')
      const before = server.seen.length
      script((request, response) => {
        waiting(request, response)
        setImmediate(() => controller.abort(reason))
      })
      expect(await failureOf(clientWith().payments.create(NEW, { signal: controller.signal }))).to.equal(reason)
      expect(await failureOf(clientWith().payments.create(NEW, { signal: controller.signal }))).to.equal(reason)
      expect(server.seen).to.have.length(before + 1)
    }
  })

  it('client: follows no redirect, which would take the key to another server', async () => {
    script(answer(307, '', { location: `${server.url}/elsewhere` }))
    expect(await failureOf(clientWith().payments.create(NEW))).to.include({ code: 'http-307', retryable: false })
    expect(server.seen).to.have.length(1)
  })

  it('client: mistakes of the caller are thrown without a request', async () => {
    const { payments } = clientWith()
    for (const call of [
      payments.create({ ...NEW, amount: 100.5 as unknown as string }),
      payments.create(NEW, { idempotencyKey: 'two\nlines' }),
      payments.get(''),
    ])
      expect(await failureOf(call)).to.be.instanceOf(TypeError)
    expect(server.seen).to.deep.equal([])
  })

  it('client: delays grow to 5 seconds, and come after Retry-After', () => {
    const highest = [1, 2, 3, 4, 5, 6, 100].map((attempt) => retryDelayMs(attempt, 0, () => 1))
    expect(highest).to.deep.equal([200, 400, 800, 1_600, 3_200, 5_000, 5_000])
    expect(retryDelayMs(1, 3_000, () => 0)).to.equal(3_000)
  })

  it('client: reads Retry-After in seconds and as a date', () => {
    const now = Date.UTC(2026, 10, 22, 1, 37, 8)
    const read = (text: string | null) => readRetryAfter(text, now)
    expect([read('0'), read('7'), read('Sun, 22 Nov 2026 01:37:18 GMT')]).to.deep.equal([0, 7_000, 10_000])
    expect(read('Sun, 22 Nov 2020 01:37:18 GMT')).to.equal(0)
    expect([read(null), read('-1'), read('soon'), read('1.5')]).to.deep.equal(Array(4).fill(undefined))
  })
})
