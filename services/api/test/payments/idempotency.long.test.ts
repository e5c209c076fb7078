import { randomUUID } from 'node:crypto'
import {
  createTestDatabase,
  eventually,
  openClient,
  query,
  type ServiceProcess,
  startService,
  startTcpProxy,
  type TcpProxy,
  type TestDatabase,
} from '@cashflow/testing'
import { expect } from 'chai'
import { bodyWith } from '../requests.ts'

interface Answer {
  status: number
  text: string
  replayed: boolean
}

describe('Idempotency-Key when an api process is killed', () => {
  let database: TestDatabase
  let proxy: TcpProxy
  let survivor: ServiceProcess
  let victim: ServiceProcess
  let key: string
  let body: string
  before(async () => {
    database = await createTestDatabase()
    proxy = await startTcpProxy(database.url)
    survivor = startService('api', { DATABASE_URL: database.url, PORT: '0' })
    await survivor.logged('listening')
  })
  after(async () => {
    await survivor.stop()
    await proxy.stop()
    await database.drop()
  })
  beforeEach(async () => {
    victim = startService('api', { DATABASE_URL: proxy.url, PORT: '0' })
    await victim.logged('listening')
    key = randomUUID()
    body = bodyWith({ reference: key })
  })
  afterEach(() => proxy.restore())

  async function send(service: ServiceProcess): Promise<Answer> {
    const { url } = await service.logged('listening')
    const response = await fetch(`${url}/payments`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
      body,
    })
    const { status, headers } = response
    return { status, text: await response.text(), replayed: headers.get('Idempotent-Replayed') === 'true' }
  }

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
