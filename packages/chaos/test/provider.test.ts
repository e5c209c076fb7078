import { eventually, openSocket } from '@cashflow/testing'
import { expect } from 'chai'
import { type Provider, startProvider } from '../src/provider.ts'
import { createRandom } from '../src/random.ts'

const KEY = '01a20000-0000-7000-8000-000000000001'

describe('provider of chaos', () => {
  let provider: Provider
  beforeEach(async () => {
    provider = await startProvider(createRandom(1))
  })
  afterEach(() => provider.stop())

  const asked = () => provider.requests.map(({ method, key }) => ({ method, key }))

  it('records a request to charge whose body never comes', async () => {
    const { hostname, pathname } = new URL(provider.url)
    const socket = openSocket(provider.url)
    socket.write(
      `POST ${pathname} HTTP/1.1\r\nhost: ${hostname}\r\nidempotency-key: ${KEY}\r\ncontent-length: 100\r\n\r\n{`,
    )
    await eventually(() => expect(asked()).to.deep.equal([{ method: 'POST', key: KEY }]))
    socket.destroy()
    expect(provider.charges).to.deep.equal([])
  })

  it('records a GET for a charge', async () => {
    expect((await fetch(`${provider.url}/${KEY}`)).status).to.equal(404)
    expect(asked()).to.deep.equal([{ method: 'GET', key: KEY }])
  })

  it('charges again for a key that was charged', async () => {
    const body = JSON.stringify({ payment_id: KEY, amount_minor: 100, currency: 'USD' })
    const charge = () => fetch(provider.url, { method: 'POST', headers: { 'idempotency-key': KEY }, body })
    for (const { status } of [await charge(), await charge()]) expect(status).to.equal(200)
    expect(provider.charges.map(({ key, moved }) => ({ key, moved }))).to.deep.equal([
      { key: KEY, moved: true },
      { key: KEY, moved: true },
    ])
    expect(asked()).to.have.length(2)
  })

  it('answers with 202 while a charge is undecided, and with its decision afterwards', async () => {
    const body = JSON.stringify({ payment_id: KEY, amount_minor: 100, currency: 'USD' })
    const look = () => fetch(`${provider.url}/${KEY}`)
    provider.setMode('undecided')
    expect((await look()).status).to.equal(404)
    const posted = await fetch(provider.url, { method: 'POST', headers: { 'idempotency-key': KEY }, body })
    for (const response of [posted, await look()]) {
      expect(response.status).to.equal(202)
      expect(response.headers.get('retry-after')).to.equal('1')
    }
    expect(provider.responses).to.deep.equal([])
    provider.setMode('normal')
    const decided = (await (await look()).json()) as { status: string }
    expect(provider.responses).to.deep.equal([{ key: KEY, verdict: decided.status }])
    expect(provider.charges).to.have.length(1)
  })
})
