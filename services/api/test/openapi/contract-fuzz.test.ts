import type { KeyScope } from '@cashflow/db'
import { expect } from 'chai'
import { AUTH, createKey } from '../auth/merchant-keys.ts'
import { count, fuzz, fuzzRequests, fuzzTimeoutMs, printCounts } from '../fuzz-run.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'
import { codesOf, expectDocumented, OPERATIONS, type Operation, operationOf } from './contract.ts'
import { type FuzzedRequest, fuzzedRequests, type Oddity, requestsTo } from './fuzzed-operations.ts'
import { createKnownRequests } from './known-requests.ts'
import { ask, otherScope, textOf } from './requests.ts'

const REQUESTS = fuzzRequests(500)
/** Further requests to an operation, until each of its answers was seen: in the first round, and in the last one. */
const MORE_MIN = 40
const MORE_MAX = 640
const HEAD_BYTES_MAX = 16_384

describe('contract under fuzzed requests', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi({ auth: AUTH })
  })
  after(() => api.stop())

  // Promise 95
  it('contract: every request made from the document and of what exists gets an answer of the document, what it forbids is refused, and each answer is seen', async () => {
    const { text: key, merchantId } = await createKey(api)
    const keyWith = async (scope: KeyScope) => (await createKey(api, { merchantId, scopes: [scope] })).text
    const others = {
      'payments:write': await keyWith('payments:write'),
      'payments:read': await keyWith('payments:read'),
    }
    const known = await createKnownRequests(api, key)
    const counts = new Map<string, number>()
    const seen = new Set<string>()

    async function check({ operationId, parts, forbidden, sender, oddity }: FuzzedRequest): Promise<void> {
      const operation = operationOf(operationId)
      const bearer = { merchant: key, 'no key': undefined, 'other scope': others[otherScope(operation)] }[sender]
      const headers = { ...(bearer && { Authorization: `Bearer ${bearer}` }), ...parts.headers }
      const sent = { ...parts, headers }
      const answer = await ask(api, operation, sent)
      expectDocumented(operation, answer)
      const { status, body } = answer
      const kind = `${status} ${body?.code ?? ''}`.trim()
      count(counts, kind)
      seen.add(`${operationId} ${status}`)
      const where = `${operationId} by ${sender}, ${forbidden.join(', ') || 'nothing forbidden'}: ${answer.text}`
      expect(status, where).to.be.lessThan(500)
      const [head = ''] = textOf(operation, sent).split('\r\n\r\n')
      if (oddity !== 'large head' && head.length > HEAD_BYTES_MAX) return
      expect(kind, where).to.be.oneOf(expectedOf(operation, { forbidden, sender, oddity }))
    }

    const missing = ({ operationId, node }: Operation) =>
      Object.keys(node.responses)
        .filter((status) => whyUnreached(status, codesOf(node.responses[status])) === undefined)
        .filter((status) => !seen.has(`${operationId} ${status}`))

    await fuzz(fuzzedRequests(known), check, REQUESTS)
    // Each round is longer than the one before, so that it has other requests also with FUZZ_SEED.
    for (const operation of OPERATIONS)
      for (let more = MORE_MIN; more <= MORE_MAX && missing(operation).length > 0; more *= 2)
        await fuzz(requestsTo(operation, known), check, more)
    printCounts(counts)
    expect(api.logs.filter(({ level }) => level === 'error')).to.deep.equal([])
    for (const operation of OPERATIONS)
      expect(missing(operation), `answers of ${operation.operationId} that no request got`).to.deep.equal([])
  }).timeout(fuzzTimeoutMs(REQUESTS + OPERATIONS.length * MORE_MAX))
})

/** Why no fuzzed request gets an answer. contract.test.ts provokes each of these. Undefined if one has to get it. */
function whyUnreached(status: string, codes: readonly string[]): string | undefined {
  if (codes.join() === 'bad-request') return 'the request has to be broken HTTP'
  return {
    408: 'the client has to stop in the middle of a request',
    429: 'this API has no rate limit',
    500: 'there has to be a bug',
    503: 'a queue has to be full, or PostgreSQL away',
  }[status]
}

const REFUSALS = ['400 validation-error', '400 invalid-cursor', '400 bad-request', '400 url-refused']
const UNKNOWN = '404 not-found'
// A check was just made, a short reference or key may be taken, a cursor that looks right is none, and so is a URL or an event.
const ACCEPTED = [
  '200',
  '201',
  '202',
  '204',
  '304',
  UNKNOWN,
  '400 invalid-cursor',
  '400 url-refused',
  '409 endpoint-limit',
  '409 endpoint-disabled',
  '409 nothing-missed',
  '409 replay-running',
  '409 duplicate-reference',
  '409 reference-mismatch',
  '409 not-cancelable',
  '409 not-advanceable',
  '422 idempotency-mismatch',
  '429 check-limit',
]
/** They may be any text: what is no ETag matches nothing, and what is no preference or no traceparent is ignored. */
const HARMLESS = ['header If-None-Match', 'header Prefer', 'header traceparent']

const ODD: Readonly<Record<Oddity, string>> = {
  'content type': '415 unsupported-media-type',
  'large body': '413 payload-too-large',
  'large head': '431 headers-too-large',
  'unknown parameter': '400 validation-error',
}

/** The answers to a request in which these parts are forbidden. */
function expectedOf(
  { isPublic }: Operation,
  { forbidden, sender, oddity }: Pick<FuzzedRequest, 'forbidden' | 'sender' | 'oddity'>,
): readonly string[] {
  const refused = forbidden.filter((name) => !HARMLESS.includes(name))
  const isRefused = refused.length > 0
  if (oddity) return [ODD[oddity], ...(isRefused ? REFUSALS : [])]
  if (!isPublic && sender !== 'merchant') return [sender === 'no key' ? '401 unauthenticated' : '403 forbidden']
  if (!isRefused) return ACCEPTED
  return refused.some((name) => name.startsWith('path ')) ? [UNKNOWN, ...REFUSALS] : REFUSALS
}
