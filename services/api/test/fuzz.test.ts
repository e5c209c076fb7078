import { type Currency, formatMoney } from '@cashflow/domain'
import { expect } from 'chai'
import fc from 'fast-check'
import { PROBLEMS, type ProblemCode } from '../src/problem.ts'
import { anyRequest, bodyOf, type RawRequest } from './fuzzed-requests.ts'
import { type Answer, sendRaw } from './raw-request.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

// FUZZ_REQUESTS=100000 makes a longer run. A failure names its seed, which FUZZ_SEED=… repeats.
const REQUESTS = Number(process.env.FUZZ_REQUESTS ?? 2_000)
const SEED = process.env.FUZZ_SEED === undefined ? {} : { seed: Number(process.env.FUZZ_SEED) }
const AT_ONCE = 20

describe('api under fuzzed requests', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  // Promise 27
  it('answers every request as documented, and stores accepted payments only', async () => {
    const counts = new Map<string, number>()
    const accepted = new Map<string, Answer>()

    async function check(request: RawRequest): Promise<void> {
      const answer = await sendRaw(api.http.url, request)
      const { status, body } = answer
      const code = expectDocumented(answer)
      const kind = `${status} ${code}`.trim()
      counts.set(kind, (counts.get(kind) ?? 0) + 1)
      if (status === 201) {
        expect(accepted.has(body.id), 'an id given twice').to.equal(false)
        expect(asSent(body), 'the accepted payment is the sent one').to.deep.equal(bodyOf(request))
        accepted.set(body.id, answer)
      }
    }

    await fc.assert(
      fc.asyncProperty(fc.array(anyRequest, { minLength: AT_ONCE, maxLength: AT_ONCE }), async (requests) => {
        await Promise.all(requests.map(check))
      }),
      { numRuns: Math.ceil(REQUESTS / AT_ONCE), endOnFailure: true, ...SEED },
    )
    await expectStored(accepted)
    expect(api.logs.filter(({ level }) => level === 'error')).to.deep.equal([])
    console.log(
      `      ${[...counts]
        .map(([kind, count]) => `${count} × ${kind}`)
        .sort()
        .join(', ')}`,
    )
    // The requests must reach each of these answers, or the test proves nothing.
    for (const kind of ['200', '201', '204', '400 validation-error', '400 bad-request', '404 not-found'])
      expect(counts.get(kind) ?? 0, kind).to.be.greaterThan(0)
  }).timeout(60_000 + 20 * REQUESTS)

  /** The code of the problem, or an empty text for another answer. */
  function expectDocumented({ status, headers, body }: Answer): string {
    expect(headers['request-id']).to.match(/^[A-Za-z0-9._-]{1,128}$/)
    expect(headers['cache-control']).to.equal('no-store')
    if (status < 300) {
      expect(status).to.be.oneOf([200, 201, 204])
      return ''
    }
    expect(headers['content-type']).to.match(/^application\/problem\+json/)
    if (body === undefined) return '' // HEAD.
    const problem = PROBLEMS[body.code as ProblemCode]
    expect(problem, JSON.stringify(body)).to.be.an('object')
    expect(body).to.include({ ...problem, request_id: headers['request-id'] })
    expect(body.code, 'a bug, or a database that does not answer').to.not.be.oneOf([
      'internal',
      'unavailable',
      'overloaded',
    ])
    return body.code
  }

  const asSent = ({ amount, currency, reference }: Answer['body']) => ({ amount, currency, reference })

  async function expectStored(accepted: Map<string, Answer>): Promise<void> {
    const payments = await api.db.selectFrom('payments').selectAll().execute()
    expect(payments.length).to.equal(accepted.size)
    for (const { id, amount_minor, currency, reference, status } of payments) {
      const answer = accepted.get(id)
      const amount = formatMoney({ amountMinor: BigInt(amount_minor), currency: currency as Currency })
      expect({ ...asSent(answer?.body ?? {}), amountText: answer?.amountText }).to.deep.equal({
        amount: Number(amount),
        amountText: amount,
        currency,
        reference,
      })
      expect(status).to.equal('PENDING')
    }
    const ids = [...accepted.keys()].sort()
    const events = await api.db.selectFrom('payment_events').select(['payment_id', 'type']).execute()
    expect(events.map(({ payment_id }) => payment_id).sort()).to.deep.equal(ids)
    const messages = await api.db.selectFrom('outbox_messages').select(['key', 'topic']).execute()
    expect(messages.map(({ key }) => key).sort()).to.deep.equal(ids)
    for (const { type } of events) expect(type).to.equal('payment.created')
    for (const { topic } of messages) expect(topic).to.equal('payment.created')
  }
})
