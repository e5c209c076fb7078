import { defined } from '@cashflow/async'
import { expect } from 'chai'
import { sql } from 'kysely'
import { PROBLEMS, type ProblemCode } from '../src/problem-types.ts'
import { AUTH, createKey, inventedKey } from './auth/merchant-keys.ts'
import { documentedRows, problemRows } from './problem-rows.ts'
import { type Answer, sendRaw } from './raw-request.ts'
import { bodyWith, expectSharedHeaders, sharedMembers } from './requests.ts'
import { type ApiUnderTest, type StartOptions, startApi, WEBHOOKS } from './start-api.ts'
import { finishChecks } from './webhooks/store-check.ts'
import { send as ask, createEndpoint } from './webhooks/webhook-requests.ts'

interface Provocation {
  /** Of an API of its own. Default: the one that all others share. */
  readonly options?: StartOptions
  /** Gets the answer with the problem. */
  provoke(api: ApiUnderTest): Promise<Pick<Answer, 'status' | 'headers' | 'body'>>
}

const BODY = bodyWith({ reference: 'REF-TAKEN' })

const send = ({ http }: ApiUnderTest, text: string) => sendRaw(http.url, { bytes: Buffer.from(text) })

const get = (api: ApiUnderTest, path: string, { method = 'GET', key = '' } = {}) =>
  send(api, `${method} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nConnection: close\r\n\r\n`)

const post = (api: ApiUnderTest, body = BODY, type = 'application/json') =>
  send(
    api,
    `POST /payments HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )

// A new problem does not compile without its provocation.
const PROVOCATIONS: Readonly<Record<ProblemCode, Provocation>> = {
  'bad-request': { provoke: (api) => get(api, '/payments/%') },
  'validation-error': { provoke: (api) => post(api, '{}') },
  'invalid-cursor': { provoke: (api) => get(api, '/payments?cursor=x') },
  unauthenticated: { options: { auth: AUTH }, provoke: (api) => get(api, '/payments/x') },
  forbidden: {
    options: { auth: AUTH },
    async provoke(api) {
      const { text } = await createKey(api, { scopes: ['payments:write'] })
      return await get(api, '/payments/x', { key: text })
    },
  },
  'not-found': { provoke: (api) => get(api, '/payments/x') },
  'method-not-allowed': { provoke: (api) => get(api, '/payments', { method: 'DELETE' }) },
  'request-timeout': { options: { headersMs: 100 }, provoke: (api) => send(api, 'GET / HTTP/1.1\r\nHost:') },
  'duplicate-reference': {
    async provoke(api) {
      await post(api)
      return await post(api)
    },
  },
  'reference-mismatch': {
    async provoke(api) {
      await post(api)
      return await post(api, bodyWith({ reference: 'REF-TAKEN', amount: '7' }))
    },
  },
  'not-cancelable': {
    async provoke(api) {
      const { body } = await post(api, bodyWith())
      await sql`update payments set attempts = 1 where id = ${body.id}`.execute(api.db)
      return await get(api, `/payments/${body.id}/cancel`, { method: 'POST' })
    },
  },
  'not-advanceable': {
    async provoke(api) {
      const { body } = await post(api, bodyWith())
      await sql`update payments set parked_at = now(), redrive_at = null where id = ${body.id}`.execute(api.db)
      return await get(api, `/test/payments/${body.id}/advance`, { method: 'POST' })
    },
  },
  'url-refused': {
    options: { webhooks: { ...WEBHOOKS, policy: { allowPrivate: false } } },
    provoke: (api) => createEndpoint(api, { url: 'http://hooks.example.com/' }),
  },
  'endpoint-limit': {
    options: {},
    async provoke(api) {
      for (let count = 1; count <= 16; count++) await createEndpoint(api)
      return await createEndpoint(api)
    },
  },
  'endpoint-disabled': {
    async provoke(api) {
      const { body } = await createEndpoint(api)
      await ask(api, 'patch', `/webhook-endpoints/${body.id}`, { enabled: false })
      return await ask(api, 'post', `/webhook-endpoints/${body.id}/replay`)
    },
  },
  'nothing-missed': {
    async provoke(api) {
      const { body } = await createEndpoint(api)
      return await ask(api, 'post', `/webhook-endpoints/${body.id}/replay`)
    },
  },
  'replay-running': {
    async provoke(api) {
      const { body } = await createEndpoint(api)
      const replay = () => ask(api, 'post', `/webhook-endpoints/${body.id}/replay`, { after: '2026-01-01T00:00:00Z' })
      await replay()
      return await replay()
    },
  },
  'check-limit': {
    async provoke(api) {
      const { body } = await createEndpoint(api)
      const check = () => ask(api, 'post', `/webhook-endpoints/${body.id}/check`)
      await check()
      await finishChecks(api)
      return await check()
    },
  },
  'webhooks-not-configured': { options: { webhooks: null }, provoke: (api) => get(api, '/webhook-endpoints') },
  'payload-too-large': { provoke: (api) => post(api, BODY.padEnd(327_681)) },
  'unsupported-media-type': { provoke: (api) => post(api, BODY, 'text/plain') },
  'idempotency-mismatch': {
    async provoke(api) {
      await post(api, bodyWith(), 'application/json\r\nIdempotency-Key: of-another-payment')
      return await post(api, bodyWith(), 'application/json\r\nIdempotency-Key: of-another-payment')
    },
  },
  'quota-exceeded': {
    options: { rateLimit: 1 },
    async provoke(api) {
      const answers = await Promise.all(Array.from({ length: 5 }, () => get(api, '/payments')))
      return defined(
        answers.find(({ status }) => status === 429),
        'an answer 429',
      )
    },
  },
  'too-many-wrong-keys': {
    options: { auth: AUTH },
    async provoke(api) {
      const answers = await Promise.all(Array.from({ length: 30 }, () => get(api, '/payments', { key: inventedKey() })))
      return defined(
        answers.find(({ status }) => status === 429),
        'an answer 429',
      )
    },
  },
  'headers-too-large': { provoke: (api) => send(api, `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`) },
  internal: {
    async provoke(api) {
      await sql`alter table outbox_messages rename to elsewhere`.execute(api.db)
      const answer = await post(api, bodyWith())
      await sql`alter table elsewhere rename to outbox_messages`.execute(api.db)
      return answer
    },
  },
  overloaded: { options: { writesMax: 0, queueMax: 0 }, provoke: (api) => post(api) },
  unavailable: {
    async provoke(api) {
      api.proxy.cut()
      const answer = await post(api, bodyWith())
      api.proxy.restore()
      return answer
    },
  },
}

function documentedHeaders(code: ProblemCode): readonly string[] {
  const problem = PROBLEMS[code]
  return 'headers' in problem ? problem.headers : []
}

/** Limits are other ones in tests. */
const withoutNumbers = (detail: string) => detail.replaceAll(/\d+/g, 'N')

describe('problems', () => {
  let shared: ApiUnderTest
  before(async () => {
    shared = await startApi()
  })
  after(() => shared.stop())

  for (const [code, { options, provoke }] of Object.entries(PROVOCATIONS) as [ProblemCode, Provocation][]) {
    it(`problem ${code}: is answered with the type, title, status, retryable and headers of the table`, async () => {
      const api = options ? await startApi(options) : shared
      const { status, headers, body } = await provoke(api).finally(() => options && api.stop())
      expectSharedHeaders(headers)
      expect(status).to.equal(PROBLEMS[code].status)
      expect(body).to.include({ ...sharedMembers(code), request_id: headers['request-id'] })
      expect(withoutNumbers(body.detail)).to.equal(withoutNumbers(PROBLEMS[code].exampleDetail))
      expect(body).to.not.have.any.keys('when', 'remedy', 'headers', 'exampleDetail')
      expect(headers['content-type']).to.equal('application/problem+json; charset=utf-8')
      for (const name of documentedHeaders(code)) expect(headers).to.have.property(name.toLowerCase())
      if ('retry-after' in headers) expect(headers['retry-after']).to.match(/^[1-9][0-9]*$/)
    }).timeout(20_000)
  }

  it('problems have the type urn:problem-type:cashflow: with their code, or a registered type', () => {
    const types = Object.entries(PROBLEMS).map(([code, { type }]) => type.replace(new RegExp(`:${code}$`), ':CODE'))
    expect([...new Set(types)].toSorted()).to.deep.equal([
      'https://iana.org/assignments/http-problem-types#quota-exceeded',
      'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity',
      'urn:problem-type:cashflow:CODE',
    ])
  })

  it('docs/problems.md has the table of the problems in the code', () => {
    expect(documentedRows(), 'run node services/api/test/problem-rows.ts').to.equal(problemRows())
  })
})
