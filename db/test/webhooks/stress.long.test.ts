import { randomUUID } from 'node:crypto'
import { pause } from '@cashflow/async'
import { expect } from 'chai'
import { sql } from 'kysely'
import {
  createEndpoint,
  deleteEndpoint,
  listDeliveries,
  listEndpoints,
  redeliver,
  rotateSecret,
  startReplay,
  updateEndpoint,
} from '../../src/index.ts'
import {
  claimDeliveries,
  disableFailing,
  fanOut,
  LOCKED,
  pruneDeliveries,
  replayPage,
  settleDeliveries,
  type Verdict,
} from '../../src/webhooks.ts'
import { createTestStore, type TestStore } from '../test-store.ts'
import { newEndpoint, newMerchant, SEALED } from './webhook-rig.ts'

const RUN_MS = Number(process.env.STRESS_MS ?? 20_000)
const FIRST = '00000000-0000-0000-0000-000000000000'
const START = { from: 'time', time: new Date(0) } as const
const SETTINGS = { url: 'https://x.example.com/', description: null, types: null, ordering: 'payment' } as const

const oneOf = <Item>(items: readonly Item[]): Item | undefined => items[Math.floor(Math.random() * items.length)]

describe('everything that changes webhooks, at the same time', () => {
  let store: TestStore
  before(async () => {
    store = await createTestStore(40)
  })
  after(() => store.drop())

  it('webhooks: all processes and all requests at the same time end in no deadlock, and leave no delivery behind', async () => {
    const { db } = store
    const merchants = [await newMerchant(db), await newMerchant(db), await newMerchant(db)]
    const steady: string[] = []
    for (const merchantId of merchants) {
      steady.push((await newEndpoint(db, merchantId)).id)
      for (let n = 0; n < 5; n++) await newEndpoint(db, merchantId)
    }
    const payments = new Map<string, { merchantId: string; sequence: number }>()
    const failures = new Map<string, number>()
    const done = new Map<string, number>()
    const until = performance.now() + RUN_MS
    const note = (counts: Map<string, number>, name: string) => counts.set(name, (counts.get(name) ?? 0) + 1)

    async function repeat(name: string, work: () => Promise<unknown>): Promise<void> {
      while (performance.now() < until) {
        try {
          await work()
          note(done, name)
        } catch (error) {
          const { code, message, cause } = error as Error & { code?: string }
          note(failures, `${name}: ${code ?? (cause as { code?: string })?.code ?? message}`)
        }
        await pause(Math.random() * 4)
      }
    }

    async function produce(): Promise<void> {
      const known = oneOf([...payments].slice(-20))
      const isNext = known !== undefined && known[1].sequence < 4 && Math.random() < 0.7
      const id = isNext ? known[0] : randomUUID()
      const { merchantId, sequence } = isNext ? known[1] : { merchantId: oneOf(merchants) ?? '', sequence: 0 }
      await sql`insert into payment_events (payment_id, merchant_id, sequence, type, actor)
        values (${id}::uuid, ${merchantId}::uuid, ${sequence + 1}::int, 'payment.created', 'api')`.execute(db)
      payments.set(id, { merchantId, sequence: sequence + 1 })
    }

    async function someEndpoint() {
      const merchantId = oneOf(merchants) ?? ''
      const ids = (await listEndpoints(db, { merchantId, limit: 20 })).map(({ id }) => id)
      return { merchantId, id: oneOf(ids) ?? '' }
    }
    async function unsteadyEndpoint() {
      for (;;) {
        const found = await someEndpoint()
        if (!steady.includes(found.id)) return found
      }
    }

    async function send(verdict: () => Verdict): Promise<number> {
      const token = randomUUID()
      const { deliveries } = await claimDeliveries(db, {
        token,
        deliveriesMax: 64,
        failingMax: 32,
        window: 8,
        leaseMs: 1_000,
      })
      let left = deliveries.map((delivery) => ({
        ...delivery,
        ...{ durationMs: 1, status: 200, error: undefined, answer: '', verdict: verdict() },
      }))
      for (let tries = 0; left.length > 0 && tries < 100; tries++) {
        const settled = await settleDeliveries(db, left)
        left = left.filter((_, place) => settled[place] === LOCKED)
        if (left.length > 0) await pause(5)
      }
      return deliveries.length
    }
    const replayed = () =>
      replayPage(db, oneOf([FIRST, randomUUID()]) ?? FIRST, { eventsMax: 50, unfinishedMax: 200, bodyOf: () => '{}' })
    const fanOutAll = () => fanOut(db, { merchantIds: merchants, eventsMax: 50, bodyOf: () => '{}' })
    const anyVerdict = (): Verdict =>
      Math.random() < 0.7
        ? { kind: 'succeeded' }
        : (oneOf<Verdict>([
            { kind: 'expired', holdMs: 0 },
            { kind: 'failed', delayMs: 50, holdMs: 0 },
            { kind: 'failed', delayMs: undefined, holdMs: 0 },
          ]) ?? { kind: 'succeeded' })

    await Promise.all([
      repeat('produce', produce),
      repeat('produce', produce),
      ...[1, 2].map(() => repeat('fan out', fanOutAll)),
      ...[1, 2, 3].map(() => repeat('send', () => send(anyVerdict))),
      ...[1, 2].map(() => repeat('replay page', replayed)),
      ...[1, 2].map(() => repeat('prune', () => pruneDeliveries(db, { keptMs: 200, limit: 100 }))),
      repeat('start replay', async () => {
        const { merchantId, id: endpointId } = await someEndpoint()
        await startReplay(db, { merchantId, endpointId, id: randomUUID(), start: START })
        await pause(50)
      }),
      repeat('redeliver', async () => {
        const [paymentId, { merchantId, sequence }] = oneOf([...payments].slice(-50)) ?? [
          FIRST,
          { merchantId: FIRST, sequence: 1 },
        ]
        await redeliver(db, { merchantId, paymentId, sequence: 1 + Math.floor(Math.random() * sequence) })
      }),
      repeat('change', async () =>
        updateEndpoint(db, { ...(await unsteadyEndpoint()), isEnabled: Math.random() < 0.8 }),
      ),
      repeat('order', async () =>
        updateEndpoint(db, { ...(await unsteadyEndpoint()), ordering: oneOf(['payment', 'none'] as const) }),
      ),
      repeat('disable', async () => {
        const { id: endpointId } = await unsteadyEndpoint()
        await disableFailing(db, { endpointId, url: 'https://hooks.example.com/', reason: 'gone' })
        await pause(20)
      }),
      repeat('rotate', async () => rotateSecret(db, { ...(await someEndpoint()), secret: SEALED, overlapMs: 1_000 })),
      repeat('delete and create', async () => {
        const { merchantId, id } = await unsteadyEndpoint()
        await deleteEndpoint(db, { merchantId, id })
        await createEndpoint(db, { ...SETTINGS, merchantId, id: randomUUID(), secret: SEALED })
        await pause(50)
      }),
      repeat('list', async () => listDeliveries(db, { merchantId: oneOf(merchants) ?? '', limit: 20 })),
    ])
    console.log('      done', Object.fromEntries(done), 'failed', Object.fromEntries(failures))

    while ((await fanOutAll()).hasMore);
    for (let idle = 0; idle < 400; ) {
      const page = await replayed()
      idle = (await send(() => ({ kind: 'succeeded' }))) > 0 || page?.deliveries ? 0 : idle + 1
      await pause(5)
    }
    const left =
      await sql`select d.*, q.due_at as queue_due_at, q.is_failing, q.recovering_since, q.is_full from webhook_deliveries d
      join webhook_queues q using (endpoint_id) where q.is_enabled and d.status in ('pending', 'waiting') limit 3`.execute(
        db,
      )
    expect(left.rows).to.deep.equal([])
    const unfinished = db
      .selectFrom('webhook_replays as r')
      .innerJoin('webhook_queues as q', 'q.endpoint_id', 'r.endpoint_id')
    expect(
      await unfinished.select('r.id').where('q.is_enabled', '=', true).where('r.finished_at', 'is', null).execute(),
    ).to.deep.equal([])
    const deadlocks = [...failures.keys()].filter((name) => name.endsWith('40P01'))
    expect(deadlocks).to.deep.equal([])
    const orphans = await sql`select from webhook_payloads p where not exists (
      select from webhook_deliveries d where d.payment_id = p.payment_id and d.sequence = p.sequence)`.execute(db)
    expect(orphans.rows, 'payloads without deliveries').to.deep.equal([])
  }).timeout(RUN_MS + 120_000)
})
