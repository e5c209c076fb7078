import { defined } from '@cashflow/async'
import { answer, type Script, type ScriptedServer, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import { type CashflowError, createClient } from '../src/index.ts'

const ENDPOINT = { id: '01a200e6-61da-7305-a53d-01a16fbc86b7', url: 'https://hooks.example.com/', secret: 'whsec_x' }
const DELIVERIES = [{ id: '2' }, { id: '1' }]

const notFound = answer(404, { code: 'not-found', retryable: false, detail: 'No webhook endpoint has this id.' })
const unavailable = answer(503, { code: 'unavailable', retryable: true, detail: 'Later.' })
const noAnswer: Script = (_request, response) => void response.socket?.destroy()
const noContent: Script = (_request, response) => void response.writeHead(204).end()

describe('@cashflow/client: webhooks', () => {
  let server: ScriptedServer
  beforeEach(async () => {
    server = await startScriptedServer()
  })
  afterEach(() => server.close())

  /** A client of an API that answers with the scripts in turn, and with the last one from then on. */
  function webhooksOf(...scripts: Script[]) {
    let turn = 0
    server.script = (request, response) => {
      defined(scripts[Math.min(turn++, scripts.length - 1)], 'script')(request, response)
    }
    return createClient({ url: new URL('/', server.url).href, timeoutMs: 20_000 }).webhooks
  }

  const failureOf = (call: Promise<unknown>): Promise<CashflowError> =>
    call.then(
      () => expect.fail('the call has not failed'),
      (error) => error,
    )

  /** Method, path and body of each request. */
  const sent = () =>
    server.seen.map(({ method, path, body }) => `${method} ${path.replace('/api/v1', '')} ${body}`.trim())

  it('client: each call about endpoints sends its method, path and body', async () => {
    const webhooks = webhooksOf(answer(200, ENDPOINT))
    expect(await webhooks.createEndpoint({ url: ENDPOINT.url, types: ['payment.failed'] })).to.deep.equal(ENDPOINT)
    await webhooks.getEndpoint('e/1')
    await webhooks.updateEndpoint('e', { enabled: false })
    await webhooks.rotateSecret('e')
    await webhooks.rotateSecret('e', { overlap_s: 0 })
    await webhooks.replay('e')
    await webhooks.replay('e', { after: 'evt_1', types: ['payment.failed'] })
    await webhooks.check('e')
    await webhooks.ping('e')
    await webhooks.getCheck('e', 'c/1')
    expect(sent()).to.deep.equal([
      'POST /webhook-endpoints {"url":"https://hooks.example.com/","types":["payment.failed"]}',
      'GET /webhook-endpoints/e%2F1',
      'PATCH /webhook-endpoints/e {"enabled":false}',
      'POST /webhook-endpoints/e/rotate-secret {}',
      'POST /webhook-endpoints/e/rotate-secret {"overlap_s":0}',
      'POST /webhook-endpoints/e/replay {}',
      'POST /webhook-endpoints/e/replay {"after":"evt_1","types":["payment.failed"]}',
      'POST /webhook-endpoints/e/check',
      'POST /webhook-endpoints/e/ping',
      'GET /webhook-endpoints/e/checks/c%2F1',
    ])
    expect(await failureOf(webhooks.getEndpoint(''))).to.be.instanceOf(TypeError)
  })

  it('client: reads deliveries page by page, and those of an event', async () => {
    const page = (data: object[], next_cursor: string | null) =>
      answer(200, { data, has_more: next_cursor !== null, next_cursor })
    const webhooks = webhooksOf(page(DELIVERIES.slice(0, 1), 'c'), page(DELIVERIES.slice(1), null))
    const found: object[] = []
    for await (const delivery of webhooks.listDeliveries({ status: 'pending', limit: 1 })) found.push(delivery)
    expect(found).to.deep.equal(DELIVERIES)
    expect(await webhooks.deliveriesOf('evt_1')).to.deep.equal(DELIVERIES.slice(1))
    await webhooks.redeliver('evt_1', { endpoint_id: 'e' })
    await webhooks.listEndpoints()
    expect(sent()).to.deep.equal([
      'GET /webhook-deliveries?status=pending&limit=1',
      'GET /webhook-deliveries?status=pending&limit=1&cursor=c',
      'GET /events/evt_1/deliveries',
      'POST /events/evt_1/redeliver {"endpoint_id":"e"}',
      'GET /webhook-endpoints?limit=100',
    ])
  })

  it('client: does not repeat the creation of an endpoint whose answer got lost, and says that it may have happened', async () => {
    for (const call of ['createEndpoint', 'replay'] as const) {
      const webhooks = webhooksOf(noAnswer)
      const error = await failureOf(
        call === 'replay' ? webhooks.replay('e') : webhooks.createEndpoint({ url: ENDPOINT.url }),
      )
      expect(error).to.include({ code: 'no-answer', mayHaveHappened: true })
    }
    expect(server.seen).to.have.length(2)
  })

  it('client: repeats the creation of an endpoint that a 429 has refused', async () => {
    const refused = answer(429, { code: 'quota-exceeded', retryable: true, detail: 'Later.' })
    await webhooksOf(refused, answer(201, ENDPOINT)).createEndpoint({ url: ENDPOINT.url })
    expect(server.seen).to.have.length(2)
  })

  it('client: a deletion whose first answer got lost is done when the repetition gets 404, and another 404 is an error', async () => {
    expect(await webhooksOf(noContent).deleteEndpoint('e')).to.equal(undefined)
    expect(await webhooksOf(noAnswer, notFound).deleteEndpoint('e')).to.equal(undefined)
    expect(await failureOf(webhooksOf(notFound).deleteEndpoint('e'))).to.include({ code: 'not-found', status: 404 })
    expect(sent()).to.deep.equal(Array(4).fill('DELETE /webhook-endpoints/e'))
  })

  it('client: repeats a change that PostgreSQL could not make', async () => {
    expect(await webhooksOf(unavailable, answer(200, ENDPOINT)).updateEndpoint('e', {})).to.deep.equal(ENDPOINT)
  })
})
