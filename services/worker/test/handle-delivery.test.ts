import { answer, eventually, type ScriptedServer, startScriptedServer } from '@cashflow/testing'
import { expect } from 'chai'
import { createHttpProvider } from '../src/provider/http-provider.ts'
import { createTestHandler, createTestWorker, delivery, type TestWorker } from './test-worker.ts'

const APPROVED = { status: 'approved' }

describe('handler of deliveries with an HTTP provider', () => {
  let payments: TestWorker
  let server: ScriptedServer

  before(async () => {
    payments = await createTestWorker(10)
  })
  after(() => payments.drop())
  beforeEach(async () => {
    payments.lines.length = 0
    server = await startScriptedServer()
  })
  afterEach(() => server.close())

  function createWorker({ openMs = 200, failuresMax = 3, chargesMax = 100 } = {}) {
    const options = { openMs, failuresMax, chargesMax, providerDeadlineMs: 2_000 }
    return createTestHandler(payments, createHttpProvider({ url: server.url }), options)
  }

  // Promise 18
  it('settles by the charge that a look-up finds, when the answer to the first attempt was lost', async () => {
    const worker = createWorker()
    const id = await payments.pending()
    server.script = (_request, response) => response.socket?.resetAndDestroy()
    expect(await worker.handle(delivery(id))).to.equal('ack')
    expect(await payments.row(id)).to.include({ status: 'PENDING', attempts: 1 })

    await payments.expireLease(id)
    server.script = (request, response) =>
      answer(request.method === 'GET' ? 200 : 500, { status: 'declined', failure_code: 'expired_card' })(
        request,
        response,
      )
    expect(await worker.handle(delivery(id))).to.equal('ack')
    expect(await payments.row(id)).to.include({ status: 'FAILED', failure_code: 'expired_card', attempts: 1 })
    expect(server.seen.map(({ method, path }) => `${method} ${path}`)).to.deep.equal([
      'POST /charges',
      `GET /charges/${id}`,
    ])
    expect(server.seen[0]?.headers['idempotency-key']).to.equal(id)
  })

  // Promise 19
  it('spends no attempts on a dead provider except those that open or probe the breaker, and settles all when it returns', async () => {
    const worker = createWorker()
    const ids = await Promise.all(Array.from({ length: 20 }, () => payments.pending()))
    let refused = 0
    server.script = (request, response) => {
      refused += 1
      answer(503)(request, response)
    }
    for (const id of ids.slice(0, 3)) await worker.handle(delivery(id))
    const rest = ids.slice(3)
    const handled = rest.map((id) => worker.handle(delivery(id)))
    await eventually(() => expect(refused).to.equal(5))
    server.script = answer(200, APPROVED)
    await Promise.all(handled)

    // Each probe that failed is one attempt of one payment.
    const probes = refused - 3
    const attempts = await Promise.all(rest.map(async (id) => (await payments.row(id)).attempts))
    expect(attempts.filter((made) => made > 0)).to.deep.equal(Array.from({ length: probes }, () => 1))
    const statuses = await Promise.all(rest.map(async (id) => (await payments.row(id)).status))
    expect(statuses.filter((status) => status === 'SUCCESS')).to.have.length(rest.length - probes)
    expect(payments.logged()).to.include('provider is back')
  })

  // Promise 19
  it('claims nothing while the provider rejects all requests, and counts no attempt', async () => {
    const worker = createWorker({ openMs: 60_000 })
    const [refused, waiting] = [await payments.pending(), await payments.pending()]
    server.script = answer(401)
    expect(await worker.handle(delivery(refused))).to.equal('ack')
    expect(await payments.row(refused)).to.include({ status: 'PENDING', attempts: 0, claim_token: null })
    expect(payments.logged()).to.deep.equal([
      'provider refuses our requests, nothing is claimed',
      'provider refused the request, the payment waits',
    ])

    const handled = worker.handle(delivery(waiting))
    await worker.stopAdmission()
    expect(await handled).to.equal('leave')
    expect(await payments.row(waiting)).to.include({ attempts: 0, claim_token: null, lease_until: null })
    expect(server.seen).to.have.length(1)
  })

  it('stops waiting for the provider with a delivery whose channel is gone', async () => {
    const worker = createWorker({ openMs: 60_000, failuresMax: 1 })
    server.script = answer(500)
    await worker.handle(delivery(await payments.pending()))
    const channel = new AbortController()
    const id = await payments.pending()
    const handled = worker.handle(delivery(id, { signal: channel.signal }))
    channel.abort(new Error('channel closed'))
    expect(await handled).to.equal('leave')
    expect(await payments.row(id)).to.include({ claim_token: null, lease_until: null })
  })

  it('worker: leaves a delivery that waits for the provider when its consumer drains', async () => {
    const worker = createWorker({ openMs: 60_000, failuresMax: 1 })
    server.script = answer(500)
    await worker.handle(delivery(await payments.pending()))
    const draining = new AbortController()
    const id = await payments.pending()
    const handled = worker.handle(delivery(id, { draining: draining.signal }))
    draining.abort(new Error('paused'))
    expect(await handled).to.equal('leave')
    expect(await payments.row(id)).to.include({ claim_token: null, lease_until: null, attempts: 0 })
  })

  it('claims no more payments than it may charge at the same time', async () => {
    const worker = createWorker({ chargesMax: 3 })
    const ids = await Promise.all(Array.from({ length: 12 }, () => payments.pending()))
    const answers = Promise.withResolvers<void>()
    let [open, openMax] = [0, 0]
    server.script = async (...exchange) => {
      open += 1
      openMax = Math.max(openMax, open)
      await answers.promise
      open -= 1
      answer(200, APPROVED)(...exchange)
    }
    const handled = ids.map((id) => worker.handle(delivery(id)))
    await eventually(() => expect(open).to.equal(3))
    const rows = await Promise.all(ids.map(payments.row))
    expect(rows.filter(({ claim_token }) => claim_token)).to.have.length(3)
    answers.resolve()
    expect(await Promise.all(handled)).to.deep.equal(ids.map(() => 'ack'))
    expect(openMax).to.equal(3)
  })
})
