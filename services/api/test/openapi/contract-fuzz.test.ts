import { expect } from 'chai'
import { AUTH, createKey } from '../auth/merchant-keys.ts'
import { count, fuzz, fuzzRequests, fuzzTimeoutMs, printCounts } from '../fuzz-run.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'
import { expectDocumented, operationOf } from './contract.ts'
import { FUZZED_REQUESTS, type FuzzedRequest } from './fuzzed-operations.ts'
import { ask, textOf } from './requests.ts'

const REQUESTS = fuzzRequests(500)
const HEAD_BYTES_MAX = 16_384

describe('contract under fuzzed requests', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi({ auth: AUTH })
  })
  after(() => api.stop())

  // Promise 95
  it('contract: every request made from the document gets an answer of the document, and what it forbids is refused', async () => {
    const { text: key } = await createKey(api)
    const counts = new Map<string, number>()

    async function check({ operationId, parts, forbidden }: FuzzedRequest): Promise<void> {
      const operation = operationOf(operationId)
      const sent = { ...parts, headers: { Authorization: `Bearer ${key}`, ...parts.headers } }
      const answer = await ask(api, operation, sent)
      expectDocumented(operation, answer)
      const { status, body } = answer
      const kind = `${status} ${body?.code ?? ''}`.trim()
      count(counts, kind)
      const where = `${forbidden.join(', ') || 'nothing forbidden'}: ${answer.text}`
      expect(status, where).to.be.lessThan(500)
      const [head = ''] = textOf(operation, sent).split('\r\n\r\n')
      if (head.length > HEAD_BYTES_MAX) return
      expect(kind, where).to.be.oneOf(expectedOf(forbidden))
    }

    await fuzz(FUZZED_REQUESTS, check, REQUESTS)
    printCounts(counts)
    expect(api.logs.filter(({ level }) => level === 'error')).to.deep.equal([])
    // The requests must reach each of these answers, or the test proves nothing.
    for (const kind of ['200', '201', '400 validation-error', '400 invalid-cursor', '400 bad-request', '404 not-found'])
      expect(counts.get(kind) ?? 0, kind).to.be.greaterThan(0)
  }).timeout(fuzzTimeoutMs(REQUESTS))
})

const REFUSALS = ['400 validation-error', '400 invalid-cursor', '400 bad-request']
const UNKNOWN = '404 not-found'
// A short reference or key may be taken, and a cursor that looks right is none.
const ACCEPTED = [
  '200',
  '201',
  '304',
  UNKNOWN,
  '400 invalid-cursor',
  '409 duplicate-reference',
  '409 reference-mismatch',
  '422 idempotency-mismatch',
]
/** They may be any text: what is no ETag matches nothing, and what is no preference is ignored. */
const HARMLESS = ['header If-None-Match', 'header Prefer']

/** The answers to a request in which these parts are forbidden. */
function expectedOf(forbidden: readonly string[]): readonly string[] {
  const refused = forbidden.filter((name) => !HARMLESS.includes(name))
  if (refused.length === 0) return ACCEPTED
  return refused.includes('path id') ? [UNKNOWN, ...REFUSALS] : REFUSALS
}
