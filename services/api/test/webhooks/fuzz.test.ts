import { expect } from 'chai'
import { PROBLEMS } from '../../src/problem-types.ts'
import { AUTH, createKey } from '../auth/merchant-keys.ts'
import { count, fuzz, fuzzRequests, fuzzTimeoutMs, printCounts } from '../fuzz-run.ts'
import type { RawRequest } from '../fuzzed-requests.ts'
import { sendRaw } from '../raw-request.ts'
import { expectSharedHeaders } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'
import { webhookRequests } from './fuzzed-webhooks.ts'
import { storeDelivery } from './store-delivery.ts'
import { createEndpoint, send } from './webhook-requests.ts'

const REQUESTS = fuzzRequests(1_500)
const FEED = /^(GET|HEAD) (\/api\/v1)?\/events\/? /
const BUGS = ['internal', 'unavailable', 'overloaded']

describe('routes of webhooks under fuzzed requests', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi({ auth: AUTH })
  })
  after(() => api.stop())

  /** A merchant with endpoints, and an event that was delivered to each. */
  async function createMerchant() {
    const { text: key, merchantId } = await createKey(api)
    const payment = { amount: '1.00', currency: 'USD', reference: merchantId }
    const { body } = await send(api, 'post', '/payments', payment, { key })
    const endpointIds: string[] = []
    for (let n = 0; n < 3; n++) endpointIds.push((await createEndpoint(api, {}, { key })).body.id)
    for (const id of endpointIds) await storeDelivery(api, id, body.id)
    return { key, merchantId, endpointIds, eventId: `evt_${body.id}_1` }
  }

  // Promises 27, 127
  it('answers every request to webhooks as documented, shows a secret only where it was made, and changes nothing of another merchant', async () => {
    const [own, other] = [await createMerchant(), await createMerchant()]
    const counts = new Map<string, number>()
    const stateOf = async ({ merchantId }: { merchantId: string }) => [
      await api.db
        .selectFrom('webhook_endpoints')
        .selectAll()
        .where('merchant_id', '=', merchantId)
        .orderBy('id')
        .execute(),
      await api.db
        .selectFrom('webhook_deliveries')
        .selectAll()
        .where('merchant_id', '=', merchantId)
        .orderBy('id')
        .execute(),
      await api.db.selectFrom('webhook_replays').selectAll().where('merchant_id', '=', merchantId).execute(),
    ]
    const before = await stateOf(other)

    async function check(request: RawRequest): Promise<void> {
      const { status, headers, body, text } = await sendRaw(api.http.url, request)
      const [line = ''] = request.bytes.toString('latin1').split('\r\n')
      // The id of an event may be the empty text: then it is the path of the feed.
      const feed = status === 200 && FEED.test(line)
      expectSharedHeaders(headers, feed ? 'private, no-cache' : 'no-store')
      count(counts, `${status} ${body?.code ?? ''}`.trim())
      if (status >= 300 && body !== undefined) {
        expect(PROBLEMS, text).to.have.property(body.code)
        expect(body.code, line).to.not.be.oneOf(BUGS)
      }
      const showsSecret = status === 201 || (status === 200 && line.includes('/rotate-secret'))
      expect(text.includes('whsec_'), line).to.equal(showsSecret)
      for (const id of [...other.endpointIds, other.merchantId])
        if (status < 300) expect(text.includes(id), line).to.equal(false)
    }

    const known = {
      key: own.key,
      endpointIds: [...own.endpointIds, ...other.endpointIds],
      eventIds: [own.eventId, other.eventId],
    }
    await fuzz(webhookRequests(known), check, REQUESTS)
    printCounts(counts)
    expect(await stateOf(other)).to.deep.equal(before)
    expect(api.logs.filter(({ level }) => level === 'error')).to.deep.equal([])
    for (const kind of ['200', '201', '202', '400 validation-error', '400 url-refused', '404 not-found'])
      expect(counts.get(kind) ?? 0, kind).to.be.greaterThan(0)
  }).timeout(fuzzTimeoutMs(REQUESTS))
})
