import { expect } from 'chai'
import { expectProblem, expectSharedHeaders } from '../requests.ts'
import { type ApiUnderTest, startApi } from '../start-api.ts'

const PAGE_POLICY =
  "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none';script-src 'self';style-src 'self';connect-src 'self';img-src data:"

const FILES = [
  ['/openapi.json', 'application/json; charset=utf-8', /^\{"openapi":"3\.1\.1",/],
  ['/docs', 'text/html; charset=utf-8', /^<!doctype html>/],
  ['/docs/start.js', 'text/javascript; charset=utf-8', /^SwaggerUIBundle\(/],
  ['/docs/swagger-ui.css', 'text/css; charset=utf-8', /\.swagger-ui/],
  ['/docs/swagger-ui-bundle.js', 'text/javascript; charset=utf-8', /SwaggerUIBundle/],
] as const

describe('api: document', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  for (const [path, type, content] of FILES) {
    // Promise 96
    it(`api: answers GET ${path} without a key, and 304 while its ETag is the same`, async () => {
      const { status, headers, text } = await api.agent.get(path).buffer(true)
      expect(status).to.equal(200)
      expect(headers['content-type']).to.equal(type)
      expect(headers['cache-control']).to.equal('no-cache')
      expect(Number(headers['content-length'])).to.equal(Buffer.byteLength(text))
      expect(text).to.match(content)

      const { etag = '' } = headers
      const again = await api.agent.get(path).set('If-None-Match', `"other", ${etag}`)
      expect(again.status).to.equal(304)
      expect(again.headers).to.include({ etag, 'cache-control': 'no-cache', vary: 'Authorization' })
      expect(again.text).to.equal('')
      expect((await api.agent.get(path).set('If-None-Match', '"other"')).status).to.equal(200)
      const head = await api.agent.head(path)
      expect(head.headers).to.include({ etag, 'content-length': headers['content-length'] })
      expectProblem(await api.agent.post(path), 405, 'method-not-allowed')
    })
  }

  // Promise 96
  it('api: the page /docs runs scripts of the API only, and loads nothing from elsewhere', async () => {
    const { headers, text } = await api.agent.get('/docs')
    expect(headers['content-security-policy']).to.equal(PAGE_POLICY)
    const addresses = [...text.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, address]) => address)
    expect(addresses.filter((address) => address !== 'data:,')).to.have.members([
      '/docs/swagger-ui.css',
      '/openapi.json',
      '/docs/swagger-ui-bundle.js',
      '/docs/start.js',
    ])
    expect(text).to.not.match(/<style|<script>| style=| on\w+=/)
    expectSharedHeaders((await api.agent.get('/docs/swagger-ui.css')).headers, 'no-cache')
  })
})
