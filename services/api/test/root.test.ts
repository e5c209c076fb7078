import { expect } from 'chai'
import { type ApiUnderTest, startApi } from './start-api.ts'

describe('GET /', () => {
  let api: ApiUnderTest
  before(async () => {
    api = await startApi()
  })
  after(() => api.stop())

  for (const accept of ['*/*', 'application/json', 'application/*', 'application/json, text/html', 'image/png', '']) {
    it(`GET /: answers Accept: ${accept} with a JSON document of the API’s paths`, async () => {
      const { status, headers, body } = await api.agent.get('/').set('Accept', accept)
      expect(status).to.equal(200)
      expect(headers['content-type']).to.equal('application/json; charset=utf-8')
      expect(headers.vary).to.equal('Authorization, Accept')
      expect(body).to.have.all.keys('name', 'payments', 'events', 'health', 'documentation', 'openapi')
      expect((await api.agent.options(body.payments)).headers.allow).to.contain('POST')
      expect((await api.agent.get(body.events)).status).to.equal(200)
      expect((await api.agent.get(body.health)).body).to.deep.equal({ status: 'ok' })
      for (const path of [body.documentation, body.openapi]) expect((await api.agent.get(path)).status).to.equal(200)
    })
  }

  it('GET /: does not read an Accept header that no browser sends', async () => {
    const { headers } = await api.agent.get('/').set('Accept', `text/html,${'a/b,'.repeat(3_900)}`)
    expect(headers['content-type']).to.equal('application/json; charset=utf-8')
  })

  it('GET /: answers a browser with a page that names the same paths and loads nothing', async () => {
    const { body } = await api.agent.get('/')
    const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
    const { status, headers, text } = await api.agent.get('/?from=link').set('Accept', browser)
    expect(status).to.equal(200)
    expect(headers['content-type']).to.equal('text/html; charset=utf-8')
    expect(text).to.contain(`<code>POST ${body.payments}</code>`).and.contain(`<code>GET ${body.events}</code>`)
    for (const path of [body.health, body.documentation, body.openapi]) expect(text).to.contain(`<a href="${path}">`)
    expect(text).to.not.match(/<script|<style|<img|<link| src=| style=|\d+\.\d+\.\d+/)
  })
})
