import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import {
  answer,
  createTestDatabase,
  eventually,
  openClient,
  type Pipeline,
  query,
  type ScriptedServer,
  type ServiceProcess,
  startPipeline,
  startScriptedServer,
  startService,
  startTcpProxy,
  type TcpProxy,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import { createKeyIn, KEYS_ON } from '../auth/merchant-keys.ts'
import { bodyWith } from '../requests.ts'

interface KeyedRequest {
  key: string
  body: string
  headers?: Readonly<Record<string, string>>
}

async function sendTo(service: ServiceProcess, { key, body, headers = {} }: KeyedRequest) {
  const { url } = await service.logged('listening')
  const response = await fetch(`${url}/payments`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key, ...headers },
    body,
  })
  const replayed = response.headers.get('Idempotent-Replayed') === 'true'
  return { status: response.status, text: await response.text(), replayed }
}

describe('Idempotency-Key when an api process is killed', () => {
  let database: TestDatabase
  let proxy: TcpProxy
  let authorization: string
  let survivor: ServiceProcess
  let victim: ServiceProcess
  let key: string
  let body: string
  before(async () => {
    database = await createTestDatabase()
    proxy = await startTcpProxy(database.url)
    authorization = `Bearer ${(await createKeyIn(database.url)).text}`
    survivor = startService('api', { DATABASE_URL: database.url, PORT: '0', ...KEYS_ON })
    await survivor.logged('listening')
  })
  after(async () => {
    await survivor.stop()
    await proxy.stop()
    await database.drop()
  })
  beforeEach(async () => {
    victim = startService('api', { DATABASE_URL: proxy.url, PORT: '0', ...KEYS_ON })
    await victim.logged('listening')
    key = randomUUID()
    body = bodyWith({ reference: key })
  })
  afterEach(() => proxy.restore())

  const send = (service: ServiceProcess) => sendTo(service, { key, body, headers: { Authorization: authorization } })

  async function kill(): Promise<void> {
    victim.kill('SIGKILL')
    expect(await victim.exited).to.equal('SIGKILL')
  }

  /** Sends a request that its process does not live to answer. */
  async function sendAndKill(whenItWaits: () => Promise<unknown>): Promise<void> {
    const lost = send(victim).catch(() => 'no answer')
    await whenItWaits()
    await kill()
    expect(await lost).to.equal('no answer')
  }

  const isHeld = (times: number) => () => eventually(() => expect(proxy.held).to.equal(times))

  async function expectOne(replays: boolean): Promise<void> {
    const first = await send(survivor)
    expect([first.status, first.replayed], first.text).to.deep.equal([201, replays])
    const again = await send(survivor)
    expect(again).to.deep.equal({ ...first, replayed: true })
    await expectOnePayment(JSON.parse(first.text).id)
  }

  async function expectOnePayment(id: string): Promise<void> {
    const [rows] = await query(
      database.url,
      `select (select array_agg(id) from payments where reference = $1 or idempotency_key = $1) as payments,
        (select count(*)::int from payment_events where payment_id = $2) as events,
        (select count(*)::int from outbox_messages where key = $2::text) as messages`,
      { values: [key, id] },
    )
    expect(rows).to.deep.equal({ payments: [id], events: 1, messages: 1 })
  }

  // Promises 3, 80
  it('stores nothing if the process died while it looked for the API key, and the retry creates the payment', async () => {
    const { held } = proxy
    proxy.holdAnswerTo('from "api_keys"')
    await sendAndKill(isHeld(held + 1))
    const stored = 'select from payments where reference = $1 or idempotency_key = $1'
    expect(await query(database.url, stored, { values: [key] })).to.have.length(0)
    await expectOne(false)
  })

  // Promises 3, 80
  it('replays the payment if the process died before it got the answer of the transaction', async () => {
    const { held } = proxy
    proxy.holdAnswerTo('with "given"')
    await sendAndKill(isHeld(held + 1))
    await expectOne(true)
  })

  // Promises 3, 80
  it('replays the payment if the process died while it looked for the payment of the key', async () => {
    const first = await send(survivor)
    const { held } = proxy
    proxy.holdAnswerTo('with "logged"')
    await sendAndKill(isHeld(held + 1))
    expect(await send(survivor)).to.deep.equal({ ...first, replayed: true })
    await expectOnePayment(JSON.parse(first.text).id)
  })

  // Promises 3, 80
  it('replays the payment if the process died after its answer', async () => {
    const first = await send(victim)
    await kill()
    expect(await send(survivor)).to.deep.equal({ ...first, replayed: true })
    await expectOnePayment(JSON.parse(first.text).id)
  })

  // Promises 3, 80
  it('creates the payment once if the process died while its transaction waited, and the retry came before its end', async () => {
    const blocker = await openClient(database.url)
    await blocker.query('begin; lock table payments in share mode')
    const waiting = (count: number) => () =>
      eventually(async () => {
        const { rows } = await blocker.query(
          "select 1 from pg_locks where relation = 'payments'::regclass and mode = 'RowExclusiveLock' and not granted",
        )
        expect(rows).to.have.length(count)
      })
    await sendAndKill(waiting(1))
    const retry = send(survivor)
    await waiting(2)()
    await blocker.query('commit')
    await blocker.end()
    const { status, text } = await retry
    expect(status, text).to.equal(201)
    await expectOnePayment(JSON.parse(text).id)
  })

  // Promises 3, 80
  it('creates the payment if the process died before the request had arrived whole', async () => {
    const whole = body
    body = whole.slice(0, -1)
    expect((await send(victim)).status).to.equal(400)
    await kill()
    body = whole
    await expectOne(false)
  })
})

describe('Idempotency-Key with two api processes, a relay and a worker', () => {
  const approved = answer(200, { status: 'approved' })
  let provider: ScriptedServer
  let pipeline: Pipeline
  let request: KeyedRequest
  before(async () => {
    provider = await startScriptedServer()
    pipeline = await startPipeline({ api: 2, relay: 1, worker: 1 }, { PROVIDER: 'http', PROVIDER_URL: provider.url })
  })
  after(async () => {
    await pipeline.stop()
    await provider.close()
  })
  beforeEach(() => {
    const key = randomUUID()
    request = { key, body: bodyWith({ reference: key }) }
    provider.seen.length = 0
    provider.script = approved
  })

  const payments = async () =>
    (
      await pipeline.db.query(
        `select p.id, status, array_agg(type order by sequence) as history,
          (select count(*)::int from outbox_messages where key = p.id::text) as messages
        from payments p join payment_events e on e.payment_id = p.id
        where reference = $1 or idempotency_key = $1 group by p.id`,
        [request.key],
      )
    ).rows

  async function expectChargedOnce(id: string): Promise<void> {
    await eventually(async () => {
      const history = ['payment.created', 'payment.succeeded']
      expect(await payments()).to.deep.equal([{ id, status: 'SUCCESS', history, messages: 0 }])
    })
    const charges = provider.seen.map(({ method, headers }) => [method, headers['idempotency-key']])
    expect(charges).to.deep.equal([['POST', id]])
  }

  // Promises 2, 3, 80
  it('charges once for 50 twins, 25 at each api process at the same time: 50 × 201 with one body, 49 of them replays', async () => {
    const apis = pipeline.processes.api
    const twins = Array.from({ length: 50 }, (_, n) => sendTo(defined(apis[n % 2], 'api'), request))
    const answers = await Promise.all(twins)
    const { text } = defined(answers[0], 'answer')
    expect(answers.map((each) => [each.status, each.text])).to.deep.equal(answers.map(() => [201, text]))
    expect(answers.filter(({ replayed }) => !replayed)).to.have.length(1)
    await expectChargedOnce(JSON.parse(text).id)
  })

  // Promises 1, 2, 80
  it('charges once if the process died while the request waited for the outcome, which the retry gets', async () => {
    const asked = Promise.withResolvers<() => void>()
    provider.script = (...exchange) => asked.resolve(() => approved(...exchange))
    const victim = await pipeline.start('api')
    const waiting = { ...request, headers: { Prefer: 'wait=30' } }
    const lost = sendTo(victim, waiting).catch(() => 'no answer')
    const approve = await asked.promise
    const [{ id }] = await payments()
    // It answers later requests, so it has the answer of the COMMIT, and waits.
    const { url } = await victim.logged('listening')
    expect((await fetch(`${url}/payments/${id}`)).status).to.equal(200)
    victim.kill('SIGKILL')
    expect(await victim.exited).to.equal('SIGKILL')
    expect(await lost).to.equal('no answer')
    approve()
    const survivor = defined(pipeline.processes.api[0], 'api')
    const settled = await sendTo(survivor, waiting)
    expect(settled).to.include({ status: 201, replayed: true })
    expect(JSON.parse(settled.text)).to.include({ id, status: 'SUCCESS' })
    expect(JSON.parse((await sendTo(survivor, request)).text)).to.include({ id, status: 'PENDING' })
    await expectChargedOnce(id)
  })
})
