import { createHash, randomUUID } from 'node:crypto'
import { expect } from 'chai'
import { bodyWith, expectProblem, expectSharedHeaders, post } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

describe('api: ETag of a payment', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  async function create(): Promise<{ id: string; path: string; etag: string }> {
    const { id } = (await post(api, bodyWith())).body
    const path = `/payments/${id}`
    return { id, path, etag: (await api.agent.get(path)).headers.etag as string }
  }
  const get = (path: string, ifNoneMatch: string) => api.agent.get(path).set('If-None-Match', ifNoneMatch)

  it('api: GET and HEAD answer with the same strong ETag until the payment changes, and POST with none', async () => {
    const { id, path, etag } = await create()
    const { text } = await api.agent.get(path)
    expect(etag).to.equal(`"${createHash('sha256').update(text).digest('base64url')}"`)
    for (const again of [await api.agent.get(path), await api.agent.head(path), await api.agent.get(`/api/v1${path}`)])
      expect(again.headers.etag).to.equal(etag)
    expect((await post(api, bodyWith())).headers).not.to.have.property('etag')
    await api.db
      .updateTable('payments')
      .set({ status: 'SUCCESS', settled_at: new Date() })
      .where('id', '=', id)
      .execute()
    const changed = await get(path, etag)
    expect(changed.status).to.equal(200)
    expect(changed.headers.etag).not.to.equal(etag)
    const corrected = api.db.updateTable('payments').set({ reference: `${id}-corrected` })
    await corrected.where('id', '=', id).execute()
    expect((await get(path, changed.headers.etag ?? '')).status, 'another reference under the same status').to.equal(
      200,
    )
  })

  // RFC 9110 §13.1.2: a list, any payment, and the weak comparison.
  const MATCHING = ['ETAG', 'W/ETAG', '"x", ETAG', '"x","y" , W/ETAG,"z"', '*']
  for (const form of MATCHING) {
    // Promise 90
    it(`api: GET answers 304 without a body to If-None-Match: ${form}`, async () => {
      const { path, etag } = await create()
      const response = await get(path, form.replace('ETAG', etag))
      expect(response.status).to.equal(304)
      expect(response.text).to.equal('')
      expect(response.headers).to.include({ etag, 'retry-after': '1' })
      expect(response.headers).not.to.have.any.keys('content-type', 'content-length')
      expectSharedHeaders(response.headers, 'private, no-cache')
    })
  }

  for (const form of ['"x"', 'ETAX', 'W/"x", "y"', '', 'ETAG-', '"*"', '"x", *']) {
    it(`api: GET answers 200 with the payment to If-None-Match: ${form}`, async () => {
      const { path, etag } = await create()
      const response = await get(path, form.replace('ETAG', etag.slice(0, -1)))
      expect(response.status).to.equal(200)
      expect(response.headers.etag).to.equal(etag)
    })
  }

  it('api: GET answers 404 to If-None-Match: * if there is no payment', async () => {
    expectProblem(await get(`/payments/${randomUUID()}`, '*'), 404, 'not-found')
  })
})
