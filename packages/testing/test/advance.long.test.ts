import { defined } from '@cashflow/async'
import { expect } from 'chai'
import {
  answer,
  createTestVhost,
  eventually,
  type Script,
  type ScriptedServer,
  startScriptedServer,
  type TestVhost,
} from '../src/index.ts'
import { type Pipeline, startPipeline } from '../src/pipeline.ts'

// Nothing that is scheduled happens by itself within an hour.
const HOUR = { 'retry-after': '3600' }
const SETTINGS = { PROVIDER: 'http', PROVIDER_DEADLINE_MS: '1000', REDRIVE_AFTER_MS: '3600000' }
const APPROVED = answer(200, { status: 'approved' })

describe('advance with the whole system', function () {
  this.timeout(60_000)
  let provider: ScriptedServer
  let vhost: TestVhost
  let pipeline: Pipeline
  /** The provider's answers to POST of a charge, and to GET. */
  let charge: Script
  let lookUp: Script
  before(async () => {
    provider = await startScriptedServer()
    provider.script = (request, response) => (request.method === 'GET' ? lookUp : charge)(request, response)
    vhost = await createTestVhost()
    const settings = { ...SETTINGS, PROVIDER_URL: provider.url }
    pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, settings, { vhost })
  })
  beforeEach(() => {
    provider.seen.length = 0
    charge = APPROVED
    lookUp = answer(404)
  })
  after(async () => {
    await pipeline?.stop()
    await provider?.close()
  })

  const create = async () => (await pipeline.post(crypto.randomUUID())).id
  async function ask(method: string, path: string) {
    const { url } = await defined(pipeline.processes.api[0], 'api').logged('listening')
    const response = await fetch(`${url}/api/v1${path}`, { method })
    return { status: response.status, body: (await response.json()) as Record<string, string> }
  }
  const get = async (id: string) => (await ask('GET', `/payments/${id}`)).body
  const advance = (id: string) => ask('POST', `/test/payments/${id}/advance`)
  const asked = () => provider.seen.map(({ method }) => method).join(' ')
  const running = (role: 'relay' | 'worker') => defined(pipeline.processes[role].at(-1), role)
  const outbox = async () => (await pipeline.db.query('select topic from outbox_messages order by id')).rows
  const published = () => eventually(async () => expect(await outbox()).to.deep.equal([]))

  /** Waits until a payment waits for this. What is scheduled for it is then over half an hour away. */
  async function waits(id: string, waitingFor: string): Promise<void> {
    await eventually(async () => expect(await get(id)).to.include({ waiting_for: waitingFor }), { timeoutMs: 30_000 })
    expect(Date.parse((await get(id)).next_action_at ?? '') - Date.now(), 'ms').to.be.above(1_800_000)
  }

  async function advancedTo(id: string, waitingFor: string): Promise<void> {
    const { status, body } = await advance(id)
    expect([status, body.waiting_for], JSON.stringify(body)).to.deep.equal([200, waitingFor])
  }
  const settles = (id: string) =>
    eventually(async () => expect(await get(id)).to.include({ status: 'SUCCESS' }), { timeoutMs: 20_000 })

  // Promise 92
  it('system: advance makes the next attempt now of a payment that waits an hour for it', async () => {
    charge = answer(500, '', HOUR)
    const id = await create()
    await waits(id, 'retry')
    charge = APPROVED
    await advancedTo(id, 'retry')
    await settles(id)
    expect(asked()).to.equal('POST GET POST')
  })

  // Promise 92
  it('system: advance asks the provider now for a charge that it has not decided, and whose look-up is an hour away', async () => {
    charge = answer(202, { status: 'pending' }, HOUR)
    const id = await create()
    await waits(id, 'pending')
    lookUp = APPROVED
    await advancedTo(id, 'pending')
    await settles(id)
    expect(asked()).to.equal('POST GET')
  })

  // Promise 92
  it('system: advance redrives now a payment whose message is lost, and whose redrive is an hour away', async () => {
    await running('worker').stop()
    const id = await create()
    await published()
    await pipeline.purge()
    await pipeline.start('worker')
    await waits(id, 'queue')
    expect(asked()).to.equal('')
    await advancedTo(id, 'queue')
    await settles(id)
    expect(asked()).to.equal('POST')
  })

  // Promise 92
  it('system: advance of a payment whose message is not published yet sends a second one, and the payment is charged once', async () => {
    await published()
    await running('relay').stop()
    const id = await create()
    await advancedTo(id, 'queue')
    expect((await outbox()).map(({ topic }) => topic)).to.deep.equal(['payment.created', 'payment.retry'])
    await pipeline.start('relay')
    await settles(id)
    await published()
    expect(asked()).to.equal('POST')
  })

  // Promise 92
  it('system: advance leaves a running lease of a killed worker alone, and once it ran out sends the payment to another worker', async () => {
    charge = () => {}
    const id = await create()
    await eventually(() => expect(asked()).to.equal('POST'))
    const worker = running('worker')
    worker.kill('SIGKILL')
    await worker.exited
    const refused = await advance(id)
    expect(refused.status).to.equal(409)
    expect(refused.body).to.include({ code: 'not-advanceable', waiting_for: 'provider' })
    const leaseMs = Date.parse(refused.body.next_action_at ?? '') - Date.now()
    expect(leaseMs, 'the lease: the deadline of 1 s, and 10 s').to.be.within(1, 11_000)
    // Without this message only a redrive, which is an hour away, brings the payment to a worker.
    await eventually(async () => {
      const taken = { count: 1, ackmode: 'ack_requeue_false', encoding: 'auto' }
      expect(await vhost.management.request('POST', `/queues/${vhost.name}/payments/get`, taken)).to.have.length(1)
    })
    await pipeline.start('worker')
    await waits(id, 'worker')
    expect(asked()).to.equal('POST')
    charge = APPROVED
    await advancedTo(id, 'worker')
    await settles(id)
    expect(asked()).to.equal('POST GET POST')
  })
})
