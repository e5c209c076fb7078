import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { type Clients, type ClientsOptions, createClients } from '../src/clients.ts'
import type { Merchant } from '../src/merchants.ts'
import { idOf } from '../src/payment-request.ts'

type Answering = (response: ServerResponse, request: IncomingMessage, sent: { reference: string }) => void

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
      const sent = request.method === 'POST' ? ((await json(request)) as { reference: string }) : { reference: '' }
      answering(response, request, sent)
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

  const merchant = (id: string): Merchant => ({ id, key: { id, secret: id, uses: [] } })

  /** Starts one client by default, which creates payments all the time. */
  function start(options: Partial<ClientsOptions> = {}): void {
    const merchants = [merchant('one')]
    clients = createClients({ apiUrls: [apiUrl()], merchants, count: 1, perSecond: 1_000, seed: 1, ...options })
    clients.start()
  }
  const wanted = () => clients.paymentRequests.map(({ reference, amountMinor }) => `${reference}: ${amountMinor}`)

  it('create payments while they wait for answers, up to a limit', async () => {
    const held: ServerResponse[] = []
    answering = (response) => held.push(response)
    start()
    await eventually(() => expect(clients.paymentRequests).to.have.length.at.least(20))
    // Waits for as long as 50 answers take.
    answering = (response) => say(response, 200, {})
    for (let turn = 0; turn < 50; turn++) await (await fetch(apiUrl())).text()
    const unanswered = clients.paymentRequests.filter(({ answers }) => answers.length === 0)
    expect(unanswered).to.have.length.at.most(20)
    answering = well
    for (const response of held) say(response, 503, {})
    await eventually(() => expect(clients.paymentRequests).to.have.length.above(40))
  })

  it('request the same payments with any answers', async () => {
    start()
    await eventually(() => expect(clients.paymentRequests).to.have.length.above(30))
    const answeredWell = wanted().slice(0, 15)
    await clients.stop()
    answering = (response) => say(response, 503, {})
    start()
    await eventually(() => expect(clients.paymentRequests).to.have.length.above(15))
    expect(wanted().slice(0, 15)).to.deep.equal(answeredWell)
  })

  it('send some payments again after a 201', async () => {
    start()
    const statuses = () => clients.paymentRequests.map(({ answers }) => answers.map(({ status }) => status).join())
    await eventually(() => expect(statuses()).to.include('201,409'))
    expect(statuses()).to.include('201')
  })

  it('belong to merchants in turn, whose keys they send, and use the same references and idempotency keys', async () => {
    const merchants = [merchant('one'), merchant('another')]
    const sent: { secret: string; reference: string; key: unknown }[] = []
    answering = (response, request, body) => {
      const { authorization = '', 'idempotency-key': key } = request.headers
      if (request.method === 'POST')
        sent.push({ secret: authorization.replace('Bearer ', ''), reference: body.reference, key })
      well(response, request, body)
    }
    start({ merchants, count: 2 })
    const of = (secret: string) => sent.filter((one) => one.secret === secret)
    await eventually(() => expect(Math.min(of('one').length, of('another').length)).to.be.above(30))
    await clients.stop()
    const references = (secret: string) => new Set(of(secret).map(({ reference }) => reference))
    const shared = [...references('one')].filter((reference) => references('another').has(reference))
    expect(shared).to.have.length.above(20)
    const forms = Map.groupBy(sent, ({ key }) =>
      key === undefined ? 'none' : String(key).startsWith('"') ? 'quoted' : 'bare',
    )
    expect([...forms.keys()]).to.have.members(['none', 'quoted', 'bare'])
    for (const { reference, key } of sent)
      if (key !== undefined) expect(String(key).replaceAll('"', '')).to.equal(`key:${reference}`)
  })

  it('read payments with the key of the other merchant, and repeat requests with an idempotency key at the end', async () => {
    start({ merchants: [merchant('one'), merchant('another')], count: 2 })
    await eventually(() => expect(clients.paymentRequests).to.have.length.above(30))
    await clients.stop()
    const before = new Map(clients.paymentRequests.map((request) => [request, request.answers.length]))
    const readers = new Set<string>()
    answering = (response, request, body) => {
      if (request.method === 'GET') readers.add(`${request.headers.authorization} ${request.url}`)
      well(response, request, body)
    }
    await clients.askAll()
    for (const request of clients.paymentRequests) {
      const id = idOf(request)
      if (id === undefined) continue
      const added = request.answers.length - (before.get(request) ?? 0)
      expect(added).to.equal(request.idempotencyKey === undefined ? 0 : 1)
      for (const secret of ['one', 'another'])
        expect([...readers]).to.include(`Bearer ${secret} /api/v1/payments/${id}`)
      expect(request.foreignViews.filter(({ isFinal }) => isFinal)).to.have.length(1)
    }
  })

  it('record an answer that is not JSON, and an undocumented answer to a GET', async () => {
    answering = (response, request, sent) => {
      if (request.method === 'GET') return response.writeHead(500).end('<html>')
      return sent.reference === '0-0' ? response.writeHead(502).end('<html>') : well(response, request, sent)
    }
    start()
    await eventually(() => expect(clients.paymentRequests[0]?.answers[0]?.status).to.equal(502))
    await eventually(() => expect(clients.paymentRequests[1]?.views[0]?.status).to.equal(500))
  })

  it('read each payment at the end, and retry without an answer', async () => {
    start()
    await eventually(() => expect(clients.paymentRequests).to.have.length.above(20))
    await clients.stop()
    let refused = 0
    answering = (response, request, sent) => (refused++ === 0 ? say(response, 503, {}) : well(response, request, sent))
    await clients.askAll()
    for (const { reference, answers, views } of clients.paymentRequests) {
      if (!answers.some(({ status }) => status === 201)) continue
      const last = views.filter(({ isFinal }) => isFinal).map(({ payment }) => payment?.id)
      expect(last).to.deep.equal([`id-${reference}`])
    }
  })

  it('give up an API that does not answer at the end, and do not wait for it with each payment', async () => {
    start({ patienceMs: 0 })
    await eventually(() => expect(clients.paymentRequests).to.have.length.above(30))
    await clients.stop()
    let asked = 0
    answering = (response) => {
      asked++
      say(response, 503, {})
    }
    await clients.askAll()
    // The requests that ran in parallel with the first one.
    expect(asked).to.be.within(1, 16)
    const last = clients.paymentRequests.flatMap(({ views }) => views.filter(({ isFinal }) => isFinal))
    expect(last.map(({ status }) => status)).to.deep.equal(Array.from({ length: asked }, () => 503))
  })
})
