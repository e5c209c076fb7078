import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { type Clients, type ClientsOptions, createClients } from '../src/clients.ts'

type Answering = (response: ServerResponse, request: IncomingMessage, wish: { reference: string }) => void

describe('clients', () => {
  let server: Server
  let clients: Clients
  let answering: Answering
  const ids = new Map<string, string>()

  const say = (response: ServerResponse, status: number, body: unknown) =>
    response.writeHead(status).end(JSON.stringify(body))
  const well: Answering = (response, { method, url = '' }, { reference }) => {
    if (method === 'GET') return say(response, 200, { id: url.split('/').at(-1), status: 'PENDING' })
    if (ids.has(reference)) return say(response, 409, { payment_id: ids.get(reference) })
    ids.set(reference, `id-${reference}`)
    return say(response, 201, { id: ids.get(reference) })
  }

  beforeEach(async () => {
    ids.clear()
    answering = well
    server = createServer(async (request, response) => {
      const wish = request.method === 'POST' ? ((await json(request)) as { reference: string }) : { reference: '' }
      answering(response, request, wish)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  afterEach(async () => {
    server.closeAllConnections()
    await clients.stop()
    server.close()
  })

  const apiUrl = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

  /** Of one client, by default, that wants something all the time. */
  function start(options: Partial<ClientsOptions> = {}): void {
    clients = createClients({ apiUrls: [apiUrl()], count: 1, perSecond: 1_000, seed: 1, ...options })
    clients.start()
  }
  const wanted = () => clients.wishes.map(({ reference, amountMinor }) => `${reference}: ${amountMinor}`)

  it('go on while they wait for answers, up to a bound', async () => {
    const held: ServerResponse[] = []
    answering = (response) => held.push(response)
    start()
    await eventually(() => expect(clients.wishes).to.have.length.at.least(20))
    // For as long as others take to get answers.
    answering = (response) => say(response, 200, {})
    for (let turn = 0; turn < 50; turn++) await (await fetch(apiUrl())).text()
    const unanswered = clients.wishes.filter(({ answers }) => answers.length === 0)
    expect(unanswered).to.have.length.at.most(20)
    answering = well
    for (const response of held) say(response, 503, {})
    await eventually(() => expect(clients.wishes).to.have.length.above(40))
  })

  it('want the same, however they are answered', async () => {
    start()
    await eventually(() => expect(clients.wishes).to.have.length.above(30))
    const inGoodWeather = wanted().slice(0, 15)
    await clients.stop()
    answering = (response) => say(response, 503, {})
    start()
    await eventually(() => expect(clients.wishes).to.have.length.above(15))
    expect(wanted().slice(0, 15)).to.deep.equal(inGoodWeather)
  })

  it('send some payments again after their 201', async () => {
    start()
    const statuses = () => clients.wishes.map(({ answers }) => answers.map(({ status }) => status).join())
    await eventually(() => expect(statuses()).to.include('201,409'))
    expect(statuses()).to.include('201')
  })

  it('write down an answer that is not JSON, and a GET that is not documented', async () => {
    answering = (response, request, wish) => {
      if (request.method === 'GET') return response.writeHead(500).end('<html>')
      return wish.reference === '0-0' ? response.writeHead(502).end('<html>') : well(response, request, wish)
    }
    start()
    await eventually(() => expect(clients.wishes[0]?.answers[0]?.status).to.equal(502))
    await eventually(() => expect(clients.wishes[1]?.views[0]?.status).to.equal(500))
  })

  it('look at each payment when all is over, again where they get no answer', async () => {
    start({ count: 2 })
    await eventually(() => expect(clients.wishes).to.have.length.above(20))
    await clients.stop()
    let refused = 0
    answering = (response, request, wish) => (refused++ === 0 ? say(response, 503, {}) : well(response, request, wish))
    await clients.lookAtAll()
    for (const { reference, answers, views } of clients.wishes) {
      if (!answers.some(({ status }) => status === 201)) continue
      const last = views.filter(({ isLast }) => isLast).map(({ payment }) => payment?.id)
      expect(last).to.deep.equal([`id-${reference}`])
    }
  })

  it('give up an API that says nothing when all is over, and do not wait for it with each payment', async () => {
    start({ lastLookMs: 0 })
    await eventually(() => expect(clients.wishes).to.have.length.above(30))
    await clients.stop()
    let asked = 0
    answering = (response) => {
      asked++
      say(response, 503, {})
    }
    await clients.lookAtAll()
    // Those that were under way with the first one.
    expect(asked).to.be.within(1, 16)
    const last = clients.wishes.flatMap(({ views }) => views.filter(({ isLast }) => isLast))
    expect(last.map(({ status }) => status)).to.deep.equal(Array.from({ length: asked }, () => 503))
  })
})
