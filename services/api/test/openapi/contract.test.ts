import { defined } from '@cashflow/async'
import { expect } from 'chai'
import type { Answer } from '../raw-request.ts'
import { bodyWith } from '../requests.ts'
import type { ApiUnderTest } from '../start-api.ts'
import { codesOf, expectDocumented, OPERATIONS } from './contract.ts'
import { provocationsOf } from './provocations.ts'
import { type ApiName, startNamed } from './provoking-apis.ts'
import { ask, sendText } from './requests.ts'

describe('contract', () => {
  const apis = new Map<ApiName, Promise<ApiUnderTest>>()
  after(async () => {
    for (const api of apis.values()) await (await api).stop()
  })

  function apiNamed(name: ApiName): Promise<ApiUnderTest> {
    const api = apis.get(name) ?? startNamed(name)
    apis.set(name, api)
    return api
  }

  for (const operation of OPERATIONS)
    for (const [status, response] of Object.entries(operation.node.responses)) {
      const codes = codesOf(response)
      for (const code of codes.length > 0 ? codes : [undefined]) {
        // Promise 95
        it(`contract: ${operation.operationId} answers ${[status, code].filter(Boolean).join(' ')} with the documented headers and body`, async () => {
          const provocations = provocationsOf(operation, status, code)
          expect(provocations, 'a documented answer that nothing provokes').to.not.be.empty
          for (const [name, provoke] of provocations) {
            const answer = await provoke(await apiNamed(name), operation)
            expect(`${answer.status} ${answer.body?.code}`, answer.text).to.equal(`${status} ${code}`)
            expectDocumented(operation, answer)
          }
        }).timeout(20_000)
      }
    }

  // Promise 95
  for (const operation of OPERATIONS.filter(({ method }) => method === 'GET'))
    it(`contract: HEAD of ${operation.path} has the documented headers of GET, without a body`, async () => {
      const [provocation] = provocationsOf(operation, '200', undefined)
      const [name, provoke] = defined(provocation, 'provocation')
      const answer = await provoke(await apiNamed(name), { ...operation, method: 'HEAD' })
      expect(answer.status).to.equal(200)
      expectDocumented(operation, answer, { isHead: true })
    })

  // Promise 95
  for (const [path, operations] of Map.groupBy(OPERATIONS, ({ path }) => path))
    it(`contract: ${path} refuses methods that are not in the document with 405, and Allow has those that are`, async () => {
      const { http } = await apiNamed('ordinary')
      const documented = operations.map(({ method }) => method)
      const allowed = [...documented, 'OPTIONS', ...(documented.includes('GET') ? ['HEAD'] : [])]
      for (const method of METHODS.filter((method) => !allowed.includes(method))) {
        const { status, headers } = await sendText(
          http.url,
          `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
        )
        expect(status, method).to.equal(405)
        expect(headers.allow?.split(', ')).to.have.members(allowed)
      }
    })

  // Promise 95
  it('contract: paths without /api/v1 answer alike', async () => {
    const api = await apiNamed('ordinary')
    for (const operation of OPERATIONS.filter(({ path }) => path.startsWith('/api/v1/')))
      for (const parts of [{}, { query: '?unknown=1' }, { headers: { 'Idempotency-Key': 'alike' }, body: BODY }]) {
        const answer = await ask(api, operation, parts)
        const other = await ask(api, { ...operation, path: operation.path.replace('/api/v1', '') }, parts)
        expect(other.status).to.equal(answer.status)
        expect(withoutIds(other)).to.equal(withoutIds(answer))
        expectDocumented(operation, other)
      }
  })
})

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'QUERY']
const BODY = bodyWith({ reference: 'ALIKE' })

/** What an answer says, apart from times and the request's and the payment's own names. */
const withoutIds = ({ text }: Answer) =>
  text.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}|REF-[\w-]+|"created_at":"[^"]*"|"delayed_ms":\d+|whsec_[^"]*/g, '')
