import { type Currency, formatMoney } from '@cashflow/domain'
import { expect } from 'chai'
import { PROBLEMS } from '../src/problem-types.ts'
import { AUTH, createKey } from './auth/merchant-keys.ts'
import { count, fuzz, fuzzRequests, fuzzTimeoutMs, printCounts } from './fuzz-run.ts'
import { bodyOf, type RawRequest, requestsWith } from './fuzzed-requests.ts'
import { type Answer, sendRaw } from './raw-request.ts'
import { expectSharedHeaders, sharedMembers } from './requests.ts'
import { type ApiUnderTest, startApi } from './start-api.ts'

const REQUESTS = fuzzRequests(2_000)

describe('api under fuzzed requests', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi({ auth: AUTH, trustProxy: [{ address: '127.0.0.1', prefix: 32 }] })
  })
  after(() => api.stop())

  // Promise 27
  it('answers every request as documented, and stores accepted payments only', async () => {
    const counts = new Map<string, number>()
    const accepted = new Map<string, Answer>()

    const { text } = await createKey(api)

    async function check(request: RawRequest): Promise<void> {
      const answer = await sendRaw(api.http.url, request)
      const { status, body } = answer
      const code = expectDocumented(answer)
      const kind = `${status} ${code}`.trim()
      count(counts, kind)
      if (status === 201) {
        expect(accepted.has(body.id), 'an id given twice').to.equal(false)
        expect(asSent(body), 'the accepted payment is the sent one').to.deep.equal(bodyOf(request))
        accepted.set(body.id, answer)
      }
    }

    await fuzz(requestsWith(text), check, REQUESTS)
    await expectStored(accepted)
    expect(api.logs.filter(({ level }) => level === 'error')).to.deep.equal([])
    printCounts(counts)
    // The requests must reach each of these answers, or the test proves nothing.
    for (const kind of [
      '200',
      '201',
      '204',
      '400 validation-error',
      '400 bad-request',
      '401 unauthenticated',
      '404 not-found',
    ])
      expect(counts.get(kind) ?? 0, kind).to.be.greaterThan(0)
  }).timeout(fuzzTimeoutMs(REQUESTS))

  /** The code of the problem, or an empty text for another answer. */
  function expectDocumented({ status, headers, body }: Answer): string {
    expectSharedHeaders(headers)
    if (status < 300) {
      expect(status).to.be.oneOf([200, 201, 204])
      return ''
    }
    expect(headers['content-type']).to.match(/^application\/problem\+json/)
    if (body === undefined) return '' // HEAD.
    expect(PROBLEMS, JSON.stringify(body)).to.have.property(body.code)
    expect(body).to.include({ ...sharedMembers(body.code), request_id: headers['request-id'] })
    expect(body.code, 'a bug, or a database that does not answer').to.not.be.oneOf([
      'internal',
      'unavailable',
      'overloaded',
    ])
    return body.code
  }

  const asSent = ({ amount, currency, reference, metadata = {} }: Answer['body']) => ({
    amount,
    currency,
    reference,
    metadata,
  })

  async function expectStored(accepted: Map<string, Answer>): Promise<void> {
    const payments = await api.db.selectFrom('payments').selectAll().execute()
    expect(payments.length).to.equal(accepted.size)
    for (const { id, amount_minor, currency, reference, metadata, status } of payments) {
      const answer = accepted.get(id)
      const amount = formatMoney({ amountMinor: BigInt(amount_minor), currency: currency as Currency })
      expect({ ...asSent(answer?.body ?? {}), amountText: answer?.amountText }).to.deep.equal({
        amount: Number(amount),
        amountText: amount,
        currency,
        reference,
        metadata: metadata ?? {},
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
