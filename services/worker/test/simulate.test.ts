import { DELIVERY_SIMULATIONS, SIMULATIONS, type Simulation } from '@cashflow/domain'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { sql } from 'kysely'
import type { Provider } from '../src/provider/provider.ts'
import { createSimulator, refuseToSimulate } from '../src/simulate.ts'
import { createTestHandler, createTestWorker, delivery, type TestWorker } from './test-worker.ts'

describe('simulator', () => {
  let payments: TestWorker
  let charged: string[]
  let crashes: number
  before(async () => {
    payments = await createTestWorker()
  })
  after(() => payments.drop())
  beforeEach(async () => {
    payments.lines.length = 0
    charged = []
    crashes = 0
    await sql`update simulated_crashes set crashed_at = '-infinity'`.execute(payments.db)
  })

  const approving: Provider = {
    async charge({ id }) {
      charged.push(id)
      return { outcome: 'approved' }
    },
  }
  const hanging: Provider = {
    charge({ id }) {
      charged.push(id)
      return new Promise(() => {})
    },
  }
  /** Creates a worker whose crash is only counted. */
  function createWorker(provider = approving, options: Parameters<typeof createTestHandler>[2] = {}) {
    const crash = () => {
      crashes += 1
    }
    return createTestHandler(payments, provider, { simulator: createSimulator({ ...payments, crash }), ...options })
  }
  const pending = (simulate: Simulation) => payments.pending({ simulate })
  const row = async (id: string) => {
    const { status, failure_code, attempts, claim_token, parked_at } = await payments.row(id)
    return { status, failure_code, attempts, isClaimed: claim_token !== null, isParked: parked_at !== null }
  }
  const WAITING = { status: 'PENDING', failure_code: null, isClaimed: false, isParked: false }

  it('simulator settles success as SUCCESS and decline as FAILED, without asking the provider', async () => {
    const [success, decline] = [await pending('success'), await pending('decline')]
    const { handle } = createWorker()
    expect(await Promise.all([handle(delivery(success)), handle(delivery(decline))])).to.deep.equal(['ack', 'ack'])
    expect(await row(success)).to.include({ status: 'SUCCESS', failure_code: null, attempts: 0 })
    expect(await row(decline)).to.include({ status: 'FAILED', failure_code: 'card_declined', attempts: 0 })
    expect(charged).to.deep.equal([])
  })

  it('simulator leaves other payments to the provider, also those that disturb messages and webhooks', async () => {
    const ids = [
      await payments.pending(),
      await payments.pending({ order: 'success' }),
      ...(await Promise.all(DELIVERY_SIMULATIONS.map(pending))),
    ]
    const { handle } = createWorker()
    for (const id of ids) await handle(delivery(id))
    expect(charged).to.deep.equal(ids)
  })

  it('simulator gives timeout no answer until the payment is parked with its dead letter', async () => {
    const id = await pending('timeout')
    const { handle } = createWorker()
    for (let attempts = 1; attempts <= 10; attempts += 1) {
      await handle(delivery(id))
      expect(await row(id)).to.deep.include({ attempts, status: 'PENDING', isParked: attempts === 10 })
      await payments.expireLease(id)
    }
    const letters = await payments.db.selectFrom('dead_letters').select('reason').where('key', '=', id).execute()
    expect(letters).to.deep.equal([{ reason: 'metadata.simulate asks for no answer' }])
  })

  it('simulator gives timeout_then_success no answer first, and then success, by another worker', async () => {
    const id = await pending('timeout_then_success')
    await createWorker().handle(delivery(id))
    expect(await row(id)).to.deep.equal({ ...WAITING, attempts: 1 })
    await payments.expireLease(id)
    await createWorker().handle(delivery(id))
    expect(await row(id)).to.include({ status: 'SUCCESS', attempts: 1 })
    expect(charged).to.deep.equal([])
  })

  // Promise 54
  it('worker whose provider moves money does not charge a payment that asks for a simulated outcome', async () => {
    const { handle } = createTestHandler(payments, approving, { simulate: refuseToSimulate })
    const ofDeliveries = DELIVERY_SIMULATIONS.map((simulate): Simulation => simulate)
    for (const simulate of SIMULATIONS.filter((each) => !ofDeliveries.includes(each))) {
      const id = await pending(simulate)
      await handle(delivery(id))
      expect(await row(id), simulate).to.deep.equal({ ...WAITING, attempts: 1 })
    }
    const others = [await payments.pending({ simulate: 'Decline' })]
    for (const simulate of ofDeliveries) others.push(await pending(simulate))
    for (const id of others) await handle(delivery(id))
    expect(charged).to.deep.equal(others)
  })

  it('simulator hides its missing answers from the breaker', async () => {
    const { handle } = createWorker(approving, { failuresMax: 3, openMs: 60_000 })
    const ids = await Promise.all(Array.from({ length: 20 }, () => pending('timeout')))
    await Promise.all(ids.map((id) => handle(delivery(id))))
    const other = await payments.pending()
    await handle(delivery(other))
    expect(charged).to.deep.equal([other])
    expect(payments.logged()).to.not.include('provider is away, nothing is claimed')
  })

  it('simulator holds no slot of the provider while the release of a payment is slow', async () => {
    const { handle } = createWorker(approving, { chargesMax: 1 })
    const [slow, other] = [await pending('timeout'), await payments.pending()]
    const holder = await payments.db.startTransaction().execute()
    await sql`lock table outbox_scheduled in exclusive mode`.execute(holder) // The retry cannot be scheduled.
    const releasing = handle(delivery(slow))
    await eventually(async () => {
      const { rows } =
        await sql`select from pg_locks where relation = 'outbox_scheduled'::regclass and not granted`.execute(
          payments.db,
        )
      expect(rows).to.have.length(1)
    })
    await handle(delivery(other))
    expect(charged).to.deep.equal([other])
    expect(payments.logged(), 'not released yet').to.not.include('provider gave no answer, the payment is tried again')
    await holder.rollback().execute()
    await releasing
  })

  it('simulator crashes for worker_crash when the claims of all other payments are released uncharged', async () => {
    const crashed = Promise.withResolvers<void>()
    let atCrash: unknown
    const crash = async () => {
      atCrash = await Promise.all(others.map(row))
      crashes += 1
      crashed.resolve()
    }
    const { handle } = createTestHandler(payments, hanging, { simulator: createSimulator({ ...payments, crash }) })
    const others = await Promise.all(Array.from({ length: 5 }, () => payments.pending()))
    const running = others.map((id) => handle(delivery(id)))
    await eventually(() => expect(charged).to.have.members(others))
    const own = await pending('worker_crash')
    const crashing = handle(delivery(own))
    await crashed.promise
    expect(atCrash).to.deep.equal(others.map(() => ({ ...WAITING, attempts: 0 })))
    expect(await Promise.all(running)).to.deep.equal(others.map(() => 'ack'))
    const late = await payments.pending()
    expect(await handle(delivery(late)), 'a delivery after it').to.equal('leave')
    expect(await row(late)).to.deep.equal({ ...WAITING, attempts: 0 })
    await crashing
  })

  it('simulator treats worker_crash as timeout_then_success where a worker has crashed within the last minute', async () => {
    const ids = await Promise.all(Array.from({ length: 3 }, () => pending('worker_crash')))
    await Promise.all(ids.map((id) => createWorker().handle(delivery(id))))
    expect(crashes).to.equal(1)
    for (const id of ids) {
      expect(await row(id)).to.deep.equal({ ...WAITING, attempts: 1 })
      await payments.expireLease(id)
      await createWorker().handle(delivery(id))
      expect(await row(id)).to.include({ status: 'SUCCESS', attempts: 1 })
    }
    expect(crashes).to.equal(1)
  })

  it('simulator hides no failure of a charge, which may have been sent', async () => {
    const failure = new Error('a bug')
    const charge = createSimulator(payments).interruptible(() => Promise.reject(failure))
    const error = await charge({} as never, {} as never).catch((reason: unknown) => reason)
    expect(error).to.equal(failure)
  })

  it('simulator does not crash for worker_crash after the first attempt', async () => {
    const id = await pending('worker_crash')
    await payments.set(id, 'attempts = 1')
    await createWorker().handle(delivery(id))
    expect(crashes).to.equal(0)
    expect(await row(id)).to.include({ status: 'SUCCESS' })
  })

  it('simulator does not crash for worker_crash when the worker is stopped before the other claims are released', async () => {
    const { handle, stop } = createWorker(hanging)
    const [other, own] = [await payments.pending(), await pending('worker_crash')]
    const holder = await payments.db.startTransaction().execute()
    const running = handle(delivery(other)).catch(() => 'stopped')
    await eventually(() => expect(charged).to.deep.equal([other]))
    await sql`lock table outbox_scheduled in exclusive mode`.execute(holder)
    const crashing = handle(delivery(own)).catch(() => 'stopped')
    await eventually(() => expect(payments.logged()).to.include('this worker ends itself, as metadata.simulate asks'))
    await stop()
    await holder.rollback().execute()
    await Promise.all([running, crashing])
    expect(crashes).to.equal(0)
  })
})
