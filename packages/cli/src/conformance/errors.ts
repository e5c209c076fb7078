import { type Check, expectEqual, expectProblem } from './check.ts'
import type { Asked, Deployment } from './deployment.ts'

const JSON_TYPE = { 'content-type': 'application/json' }
const UNKNOWN_ID = '00000000-0000-7000-8000-0123456789ab'
const WRONG_KEY = 'cf_test_wrong'

interface Refusal {
  readonly rule: string
  readonly path?: string
  readonly asked: (deployment: Deployment) => Asked
  readonly status: number
  readonly code: string
  readonly needsKey?: boolean
  /** Headers that the answer has. */
  readonly headers?: readonly string[]
}

const bodyOf = (reference: string, more = '') => `{"amount":"1.00","currency":"USD","reference":"${reference}"${more}}`

const post =
  (body: (reference: string) => string, headers: Asked['headers'] = JSON_TYPE) =>
  ({ newName }: Deployment): Asked => ({ method: 'POST', headers, body: body(newName()) })

const get = (): Asked => ({})

const REFUSALS: readonly Refusal[] = [
  { rule: 'a body that is no JSON', asked: post(() => '{"amount":'), status: 400, code: 'validation-error' },
  {
    rule: 'an unknown member',
    asked: post((name) => bodyOf(name, ',"amonut":"1"')),
    status: 400,
    code: 'validation-error',
  },
  {
    rule: 'a member that occurs twice',
    asked: post((name) => bodyOf(name, ',"amount":"2.00"')),
    status: 400,
    code: 'validation-error',
  },
  {
    rule: 'an unknown currency',
    asked: post((name) => bodyOf(name).replace('USD', 'XXX')),
    status: 400,
    code: 'validation-error',
  },
  { rule: 'an unknown parameter', path: '/payments?page=2', asked: get, status: 400, code: 'validation-error' },
  {
    rule: 'a cursor that the API did not make',
    path: '/payments?cursor=AAAA',
    asked: get,
    status: 400,
    code: 'invalid-cursor',
  },
  {
    rule: 'a request with two idempotency keys',
    asked: post(bodyOf, { ...JSON_TYPE, 'idempotency-key': '"a", "b"' }),
    ...{ status: 400, code: 'bad-request' },
  },
  { rule: 'an unknown payment', path: `/payments/${UNKNOWN_ID}`, asked: get, status: 404, code: 'not-found' },
  {
    rule: 'a request for events of an unknown payment',
    path: `/payments/${UNKNOWN_ID}/events`,
    asked: get,
    status: 404,
    code: 'not-found',
  },
  { rule: 'an unknown route', path: '/paymentz', asked: get, status: 404, code: 'not-found' },
  {
    rule: 'a method that a route does not have',
    asked: () => ({ method: 'DELETE' }),
    ...{ status: 405, code: 'method-not-allowed', headers: ['allow'] },
  },
  {
    rule: 'a body that is not declared as JSON',
    asked: post(bodyOf, { 'content-type': 'text/plain' }),
    ...{ status: 415, code: 'unsupported-media-type' },
  },
  {
    rule: 'a request without an API key',
    asked: () => ({ key: null }),
    ...{ status: 401, code: 'unauthenticated', needsKey: true, headers: ['www-authenticate'] },
  },
  {
    rule: 'a request with a wrong API key',
    asked: () => ({ key: WRONG_KEY }),
    ...{ status: 401, code: 'unauthenticated', needsKey: true, headers: ['www-authenticate'] },
  },
]

export const ERRORS: readonly Check[] = [
  ...REFUSALS.map(
    ({ rule, path = '/payments', asked, status, code, needsKey = false, headers = [] }): Check => ({
      area: 'errors',
      rule: `${rule} gets ${status} ${code}`,
      needsKey,
      async run(deployment) {
        const answer = await deployment.ask(path, asked(deployment))
        expectProblem(answer, status, code)
        for (const name of headers) expectEqual(answer.headers.has(name), true, `the presence of the header ${name}`)
      },
    }),
  ),
  {
    area: 'errors',
    rule: 'errors name the wrong members',
    async run({ create, newName }) {
      const { body } = await create(newName(), { amount: '1.005' })
      const pointers = (body?.errors as { pointer?: string }[] | undefined)?.map(({ pointer }) => pointer)
      expectEqual(pointers, ['#/amount'], 'the pointers of the member errors')
    },
  },
  {
    area: 'errors',
    rule: 'the Request-Id of a client is the one of its answer',
    async run({ ask, newName }) {
      const id = newName()
      const { headers } = await ask('/payments?limit=1', { headers: { 'request-id': id } })
      expectEqual(headers.get('request-id'), id, 'Request-Id')
    },
  },
]
