import { expect } from 'chai'
import type pg from 'pg'
import {
  answer,
  eventually,
  openClient,
  type ReplicatedPostgres,
  startReplicatedPostgres,
  startScriptedServer,
  startTcpProxy,
  type TcpProxy,
} from '../src/index.ts'
import { type Pipeline, postTo, startPipeline } from '../src/pipeline.ts'
import { expectEachSettledOnce, postAll } from './thousand-payments.ts'

const PAYMENTS = 240

describe('primary that is lost, with WAL that its synchronous standby did not get,', () => {
  const cleanUps: (() => Promise<unknown>)[] = []
  let postgres: ReplicatedPostgres
  let primary: pg.Client
  let proxy: TcpProxy
  beforeEach(async function () {
    this.timeout(120_000)
    postgres = await startReplicatedPostgres()
    cleanUps.push(() => postgres.stop())
    proxy = await startTcpProxy(postgres.url)
    cleanUps.push(() => proxy.stop())
    primary = await openClient(postgres.url)
    cleanUps.push(() => primary.end())
  })
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
  })

  async function start(settings: Record<string, string>): Promise<Pipeline> {
    const database = { url: proxy.url, drop: async () => {} }
    const env = { DATABASE_URL: proxy.url, RECONCILE_INTERVAL_MS: '200', ...settings }
    const pipeline = await startPipeline({ api: 1, relay: 1, worker: 1 }, env, { database })
    cleanUps.push(() => pipeline.stop())
    return pipeline
  }

  /** Waits until a COMMIT of this service waits for the standby. Returns the sessions of such COMMITs. */
  const waiting = (service: string) =>
    eventually(async () => {
      const text = "select pid from pg_stat_activity where wait_event = 'SyncRep' and application_name like $1"
      const { rows } = await primary.query(text, [`${service} (%`])
      expect(rows, `${service} waits for the standby`).not.to.be.empty
      return rows.map(({ pid }) => pid as number)
    })

  /** Redirects all services to the standby, which stays read-only until `onFound` has resolved. */
  async function failOver(onFound = async () => {}): Promise<void> {
    await postgres.failOver(async (standbyUrl) => {
      proxy.redirect(standbyUrl)
      await onFound()
    })
  }

  // Promises 1, 6
  it('loses no payment that was answered with 201: no payment is read from a standby, and all settle once', async () => {
    const pipeline = await start({ PROVIDER_DEADLINE_MS: '1000', REDRIVE_AFTER_MS: '2000' })
    const [id] = await postAll(pipeline, () => {}, { payments: 1 })
    const url = (await pipeline.processes.api[0]?.logged('listening'))?.url
    const find = async () => (await fetch(`${url}/api/v1/payments/${id}`)).status
    await eventually(async () => expect(await find()).to.equal(200))
    let duringPromotion: number | undefined
    let failingOver: Promise<void> | undefined
    const lose = async () => {
      postgres.freezeReplication()
      await waiting('cashflow-api')
      await failOver(async () => {
        duringPromotion = await find()
      })
    }
    const load = { payments: PAYMENTS, connections: 10 }
    const onPosted = (count: number) => {
      if (count === PAYMENTS / 2) failingOver = lose()
    }
    const ids = await postAll(pipeline, onPosted, load)
    await failingOver
    expect(duringPromotion, 'a standby may show nothing that it has only received').to.equal(503)
    await expectEachSettledOnce(pipeline, ids)
    await eventually(async () => expect(await find()).to.equal(200))
    // A repeated POST gets 409 with the id of the first answer.
    expect(await postAll(pipeline, () => {}, load)).to.deep.equal(ids)
    const { rows } = await pipeline.db.query(
      // Other dead letters are about lost payments: see the next test.
      'select d.* from dead_letters d join payments p on p.id::text = d.key',
    )
    expect(rows).to.deep.equal([])
    // An absent or read-only primary is no bug, so no service logs an error.
    expect(pipeline.processes.api[0]?.logs.filter(({ status }) => status === 500)).to.deep.equal([])
    for (const service of Object.values(pipeline.processes).flat()) {
      const exit = await Promise.race([service.exited, Promise.resolve('still running')])
      expect(exit, service.output.join('\n')).to.equal('still running')
    }
  }).timeout(180_000)

  // Promise 6
  it('leaves a dead letter and no charge for a payment that was published before it was replicated', async () => {
    const provider = await startScriptedServer()
    cleanUps.push(() => provider.close())
    provider.script = answer(200, { status: 'approved' })
    const pipeline = await start({ PROVIDER: 'http', PROVIDER_URL: provider.url })
    const [api, worker] = [pipeline.processes.api[0], pipeline.processes.worker[0]]

    postgres.freezeReplication()
    const answered = pipeline.post('ref').then(
      ({ status }) => status,
      () => 'none',
    )
    // Cancelling a COMMIT's wait for the standby, as for an abandoned session, makes it visible before it is replicated.
    for (const pid of await waiting('cashflow-api')) await primary.query('select pg_cancel_backend($1)', [pid])
    await waiting('cashflow-worker') // The COMMIT of its claim.
    const { rows } = await primary.query("select id from payments where reference = 'ref'")
    api?.kill('SIGKILL') // A running api would store the payment again.
    expect(await answered).to.be.oneOf(['none', 503])
    await failOver()

    const letter = await worker?.logged('message names no payment, it is now a dead letter', { timeoutMs: 60_000 })
    expect(letter).to.include({ payment_id: rows[0].id })
    const again = await pipeline.start('api')
    const { status, id } = await postTo(String((await again.logged('listening')).url), 'ref')
    expect(status).to.equal(201)
    await expectEachSettledOnce(pipeline, new Set([id]))
    expect(new Set(provider.seen.map(({ headers }) => headers['idempotency-key']))).to.deep.equal(new Set([id]))
    const letters = await pipeline.db.query('select key from dead_letters')
    expect(letters.rows).to.deep.equal([{ key: rows[0].id }])
  }).timeout(180_000)
})
