import { defined } from '@cashflow/async'
import { LOCKED, settleDeliveries } from '@cashflow/db/webhooks'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { createUnreadableRows, eventually, openClient } from '@cashflow/testing'
import { createSender } from '@cashflow/webhook-sender'
import { expect } from 'chai'
import { type Receiver, startReceiver } from './receiver.ts'
import { created, type Rig, startRig, succeeded } from './rig.ts'
import { claimAndDie, endLeases, expectNoneLeftBehind } from './time.ts'

const SUCCEEDED = {
  durationMs: 1,
  status: 204,
  error: undefined,
  answer: '',
  verdict: { kind: 'succeeded' },
} as const

describe('webhooks during faults', () => {
  let rig: Rig
  let receiver: Receiver

  beforeEach(async () => {
    rig = await startRig()
    receiver = await startReceiver()
  })

  afterEach(async () => {
    await expectNoneLeftBehind(rig.database.url)
    await rig.stop()
    await receiver.stop()
  })

  /** Fans out by a process that is stopped before it sends anything. */
  async function fanOutOnly(deliveries: number): Promise<void> {
    const process = await rig.start({ attemptsMax: 0 })
    await eventually(async () => expect(await rig.deliveries()).to.have.lengthOf(deliveries))
    await process.stop()
  }

  // Promise 121
  it('webhooks: delivers again after a lease what a process had claimed that died, and refuses its late outcome', async () => {
    await rig.endpoint(receiver.url)
    const payment = await rig.pay()
    await fanOutOnly(1)
    const [dead, ...others] = await claimAndDie(rig.db)
    expect(others).to.deep.equal([])
    const { endpointId, id, token, url } = defined(dead, 'claimed delivery')
    await rig.start()
    expect(await claimAndDie(rig.db)).to.deep.equal([])
    expect(receiver.ids()).to.deep.equal([])
    await endLeases(rig.database.url, dead ? [dead] : [])
    await rig.delivered()
    expect(receiver.ids()).to.deep.equal([created(payment)])
    const outcome = { ...SUCCEEDED, endpointId, url, id, token, status: 500 }
    const failed = { kind: 'failed', delayMs: 5_000, holdMs: 0 } as const
    await eventually(async () => {
      const [late] = await settleDeliveries(rig.db, [{ ...outcome, verdict: failed }])
      expect(late).to.include({ isHeld: false })
    })
    expect((await rig.deliveries())[0]).to.include({ status: 'succeeded', attempts: 0 })
  })

  it('webhooks: stores the outcome of an attempt once, although the answer of its COMMIT was lost', async () => {
    await rig.endpoint(receiver.url)
    const payment = await rig.pay()
    await rig.settle(payment)
    await fanOutOnly(2)
    const [claimed] = await claimAndDie(rig.db)
    const { endpointId, id, token, url } = defined(claimed, 'claimed delivery')
    const settle = () => settleDeliveries(rig.db, [{ ...SUCCEEDED, endpointId, url, id, token }])
    expect((await settle())[0]).to.include({ isHeld: true, isDue: true })
    expect((await settle())[0]).to.include({ isHeld: false })
    await rig.start()
    await rig.delivered()
    expect(receiver.ids()).to.deep.equal([succeeded(payment)])
    expect(await rig.db.selectFrom('webhook_attempts').selectAll().execute()).to.have.lengthOf(2)
  })

  // Promises 119, 121
  it('webhooks: a process that was frozen for longer than its lease sends nothing when it wakes', async () => {
    await rig.endpoint(receiver.url)
    const payment = await rig.pay()
    let clockMs = 0
    const now = performance.now
    performance.now = () => now.call(performance) + clockMs
    try {
      let frozen = 0
      const frozenProcess = await rig.start({
        secrets: {
          ...rig.secrets,
          // It freezes between its claim and its request.
          open(sealed, endpointId) {
            frozen += 1
            if (frozen === 1) clockMs += 11_000
            return rig.secrets.open(sealed, endpointId)
          },
        },
      })
      await eventually(() => expect(frozen).to.equal(1))
      await frozenProcess.stop()
    } finally {
      performance.now = now
    }
    expect(receiver.ids()).to.deep.equal([])
    const [left] = await rig.deliveries()
    expect(left).to.include({ status: 'pending', attempts: 0 }).and.property('claim_token').not.to.equal(null)
    await rig.db
      .updateTable('webhook_deliveries')
      .set({ due_at: new Date(0) })
      .execute()
    await rig.db
      .updateTable('webhook_queues')
      .set({ due_at: new Date(0) })
      .execute()
    await rig.start()
    await rig.delivered()
    expect(receiver.ids()).to.deep.equal([created(payment)])
  })

  /** Locks a row. The session gets an xid by it, so that events committed later are not shown until it ends. */
  async function lockRow(statement: string) {
    const session = await openClient(rig.database.url)
    await session.query('begin')
    await session.query(`${statement} for update`)
    return { release: () => session.end() }
  }

  // Promise 123
  for (const [table, statement] of [
    ['queue', (endpointId: string) => `select from webhook_queues where endpoint_id = '${endpointId}'`],
    ['cursor', () => `select from webhook_cursors where merchant_id = '${DEFAULT_MERCHANT_ID}'`],
  ] as const)
    it(`webhooks: a ${table} that another session has locked delays only its merchant`, async () => {
      const { id } = await rig.endpoint(receiver.url)
      const merchantId = await rig.merchant()
      const other = await startReceiver()
      await rig.endpoint(other.url, { merchantId })
      const [waits, goes] = [await rig.pay(), await rig.pay(merchantId)]
      const lock = await lockRow(statement(id))
      try {
        await rig.start()
        await eventually(() => expect(other.ids()).to.deep.equal([created(goes)]), { timeoutMs: 20_000 })
        expect(receiver.ids()).to.deep.equal([])
      } finally {
        await lock.release()
      }
      await eventually(() => expect(receiver.ids()).to.deep.equal([created(waits)]))
      await rig.delivered()
      await other.stop()
    })

  it('webhooks: an outcome whose queue another session has locked waits for it, and those of other endpoints do not', async () => {
    const other = await startReceiver()
    const [locked, free] = [await rig.endpoint(receiver.url), await rig.endpoint(other.url)]
    await rig.pay()
    await fanOutOnly(2)
    const ended = (await claimAndDie(rig.db)).map(({ endpointId, url, id, token }) => ({
      ...{ ...SUCCEEDED, endpointId, url, id, token },
    }))
    const lock = await lockRow(`select from webhook_queues where endpoint_id = '${locked.id}'`)
    const outcomes = await settleDeliveries(rig.db, ended)
    await lock.release()
    for (const [place, { endpointId }] of ended.entries())
      if (endpointId === free.id) expect(outcomes[place]).to.include({ isHeld: true })
      else expect(outcomes[place]).to.equal(LOCKED)
    expect(await settleDeliveries(rig.db, ended)).to.have.lengthOf(2)
    await rig.delivered()
    await other.stop()
  })

  // Promise 123
  it('webhooks: a damaged event stops only the webhooks of its merchant, and is logged', async () => {
    await rig.endpoint(receiver.url)
    const merchantId = await rig.merchant()
    const other = await startReceiver()
    await rig.endpoint(other.url, { merchantId })
    const damaged = await rig.pay()
    const unreadable = await createUnreadableRows(rig.database.url, {
      table: 'payment_events',
      condition: `payment_id = '${damaged}'`,
    })
    const goes = await rig.pay(merchantId)
    const process = await rig.start({ url: unreadable.url })
    await eventually(() => expect(other.ids()).to.deep.equal([created(goes)]))
    const message = 'events of a merchant cannot be fanned out, all others go on'
    await eventually(() => {
      const [line] = process.log.linesOf(message)
      expect(line?.fields).to.include({ merchant_id: DEFAULT_MERCHANT_ID })
    })
    expect(receiver.ids()).to.deep.equal([])
    await process.stop()
    await unreadable.heal()
    await rig.start()
    await eventually(() => expect(receiver.ids()).to.deep.equal([created(damaged)]))
    await rig.delivered()
    await unreadable.drop()
    await other.stop()
  })

  // Promise 120
  it('webhooks: a secret that cannot be opened delays its endpoint, is logged, and sends nothing unsigned', async () => {
    await rig.endpoint(receiver.url)
    const process = await rig.start({
      sender: createSender({ policy: { allowPrivate: true } }),
      secrets: {
        ...rig.secrets,
        open: () => {
          throw new Error('the key is unknown')
        },
      },
    })
    await rig.pay()
    rig.wake()
    const message = 'the secret of a webhook endpoint cannot be opened, its deliveries wait'
    await eventually(() => expect(process.log.linesOf(message)).to.have.lengthOf(1))
    expect(receiver.ids()).to.deep.equal([])
  })
})
