import { randomUUID } from 'node:crypto'
import { defined } from '@cashflow/async'
import { startReplay } from '@cashflow/db'
import { query } from '@cashflow/dev-stack'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { createUnreadableRows, eventually, openClient } from '@cashflow/testing'
import { expect } from 'chai'
import { type Receiver, startReceiver } from './receiver.ts'
import { created, type Rig, startRig, type TestEndpoint } from './rig.ts'

const UNCLAIMED = 'webhooks of an endpoint cannot be claimed, all others go on'

// Promise 123
describe('webhooks next to a row that cannot be used', () => {
  let rig: Rig
  let [bad, good]: Receiver[] = []
  let [badEndpoint, goodEndpoint]: TestEndpoint[] = []
  let goodMerchant: string

  beforeEach(async () => {
    rig = await startRig()
    ;[bad, good] = [await startReceiver(), await startReceiver()]
    goodMerchant = await rig.merchant()
    badEndpoint = await rig.endpoint(bad.url)
    goodEndpoint = await rig.endpoint(good.url, { merchantId: goodMerchant })
  })

  afterEach(async () => {
    await rig.stop()
    await bad?.stop()
    await good?.stop()
  })

  /** Pays for both merchants, and fans out by a process that is stopped before it sends anything. */
  async function payBoth(): Promise<[string, string]> {
    const payments: [string, string] = [await rig.pay(), await rig.pay(goodMerchant)]
    const process = await rig.start({ attemptsMax: 0 })
    await eventually(async () => expect(await rig.deliveries()).to.have.lengthOf(2))
    await process.stop()
    return payments
  }

  const receives = (receiver: Receiver | undefined, payment: string) =>
    eventually(() => expect(receiver?.ids()).to.include(created(payment)), { timeoutMs: 20_000 })

  it('webhooks: a delivery that another session has locked delays only its endpoint', async () => {
    const [waits, goes] = await payBoth()
    const session = await openClient(rig.database.url)
    try {
      await session.query('begin')
      await session.query('select from webhook_deliveries where payment_id = $1 for update', [waits])
      const process = await rig.start()
      await receives(good, goes)
      await eventually(() => expect(process.log.linesOf(UNCLAIMED)).to.not.be.empty)
      expect(bad?.ids()).to.deep.equal([])
    } finally {
      await session.end()
    }
    await receives(bad, waits)
    await rig.delivered()
  })

  for (const table of ['webhook_deliveries', 'webhook_payloads'])
    it(`webhooks: a damaged row of ${table} delays only its endpoint`, async () => {
      const [waits, goes] = await payBoth()
      const unreadable = await createUnreadableRows(rig.database.url, { table, condition: `payment_id = '${waits}'` })
      const process = await rig.start({ url: unreadable.url })
      await receives(good, goes)
      await eventually(() => {
        const [line] = process.log.linesOf(UNCLAIMED)
        expect(line?.fields).to.include({ endpoint_id: badEndpoint?.id })
      })
      expect(bad?.ids()).to.deep.equal([])
      await process.stop()
      await unreadable.heal()
      await rig.start()
      await receives(bad, waits)
      await rig.delivered()
      await unreadable.drop()
    })

  /** Returns for how long a session has waited for a lock, in milliseconds. */
  async function longestWaitMs(): Promise<number> {
    const [row] = await query<{ ms: number }>(
      rig.database.url,
      `select coalesce(max(extract(epoch from clock_timestamp() - query_start) * 1000), 0)::float8 as ms
      from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    )
    return defined(row, 'row').ms
  }

  it('webhooks: outcomes are stored while a delivery of another endpoint is locked', async () => {
    const payments = await payBoth()
    const session = await openClient(rig.database.url)
    try {
      bad?.answerWith((_, res) => {
        // It is locked while its request runs, and both outcomes are stored at about the same time.
        void session
          .query('begin')
          .then(() => session.query('select from webhook_deliveries where payment_id = $1 for update', [payments[0]]))
          .then(() => res.writeHead(204).end())
        return undefined
      })
      good?.answerWith((_, res) => {
        void eventually(() => expect(bad?.openMax()).to.equal(1)).then(() =>
          setTimeout(() => res.writeHead(204).end(), 20),
        )
        return undefined
      })
      await rig.start()
      let waitedMs = 0
      await eventually(async () => {
        waitedMs = Math.max(waitedMs, await longestWaitMs())
        const row = (await rig.deliveries()).find(({ endpoint_id }) => endpoint_id === goodEndpoint?.id)
        expect(row?.status).to.equal('succeeded')
      })
      expect(waitedMs).to.be.below(1_000)
    } finally {
      await session.end()
    }
    await rig.delivered()
  })

  it('webhooks: a replay whose events cannot be read stops no other replay', async () => {
    const [damaged, goes] = await payBoth()
    const start = { from: 'time', time: new Date(0) } as const
    const replay = async (merchantId: string, endpointId = '', id = randomUUID()) =>
      expect((await startReplay(rig.db, { merchantId, endpointId, id, start })).outcome).to.equal('started')
    // The damaged one has the first id.
    await replay(DEFAULT_MERCHANT_ID, badEndpoint?.id, '00000000-0000-4000-8000-000000000001')
    await replay(goodMerchant, goodEndpoint?.id)
    const unreadable = await createUnreadableRows(rig.database.url, {
      table: 'payment_events',
      condition: `payment_id = '${damaged}'`,
    })
    const process = await rig.start({ url: unreadable.url })
    await receives(good, goes)
    await eventually(async () => {
      const unfinished = rig.db.selectFrom('webhook_replays').select('endpoint_id').where('finished_at', 'is', null)
      expect(await unfinished.execute()).to.deep.equal([{ endpoint_id: badEndpoint?.id }])
    })
    await process.stop()
    await unreadable.heal()
    await unreadable.drop()
  })

  it('webhooks: an event that no body can be made of stops only the webhooks of its merchant', async () => {
    const [waits, goes] = [await rig.pay(), await rig.pay(goodMerchant)]
    await query(rig.database.url, `update payment_events set data = 'null' where payment_id = '${waits}'`)
    await rig.start()
    await receives(good, goes)
  })
})
