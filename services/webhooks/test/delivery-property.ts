import { defined } from '@cashflow/async'
import { query } from '@cashflow/dev-stack'
import { eventId } from '@cashflow/domain'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import fc from 'fast-check'
import { type Receiver, startReceiver, verifyWith } from './receiver.ts'
import type { Rig, TestEndpoint } from './rig.ts'
import { claimAndDie, endLeases, expectNoneLeftBehind, pass } from './time.ts'

const HOUR_MS = 3_600_000
/** 30 of them are less than the time after which a failing endpoint is disabled. */
const STEP_MS_MAX = 3 * HOUR_MS

/** How a receiver answers: a status, no answer, or success after a while. `lost`: it has done the work, and says 500. */
type Behaviour = 'ok' | 'fail' | 'lost' | 'overloaded' | 'broken' | 'slow'

interface Settings {
  merchant: 0 | 1
  ordering: 'payment' | 'none'
  types: readonly string[] | null
  behaviours: readonly Behaviour[]
}

type Step =
  | { do: 'pay'; merchant: 0 | 1 }
  | { do: 'event'; payment: number; type: string }
  /** A process claims deliveries and dies. */
  | { do: 'die'; deliveriesMax: number }
  | { do: 'pass'; ms: number }

const SETTINGS: fc.Arbitrary<Settings> = fc.record({
  merchant: fc.constantFrom(0 as const, 1 as const),
  ordering: fc.constantFrom('payment' as const, 'payment' as const, 'none' as const),
  types: fc.constantFrom(null, null, ['payment.succeeded'], ['payment.created', 'payment.failed']),
  behaviours: fc.array(fc.constantFrom<Behaviour>('ok', 'ok', 'fail', 'lost', 'overloaded', 'broken', 'slow'), {
    minLength: 1,
    maxLength: 6,
  }),
})
const STEP: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('pay' as const), merchant: fc.constantFrom(0 as const, 1 as const) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('event' as const),
      payment: fc.nat(),
      type: fc.constantFrom('payment.succeeded', 'payment.failed'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('die' as const), deliveriesMax: fc.integer({ min: 1, max: 8 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1_000, 10_000, STEP_MS_MAX) }),
  },
)

interface Sent {
  paymentId: string
  sequence: number
  merchant: 0 | 1
  type: string
}

/**
 * Every event reaches each endpoint that wants it, in the order of its payment, with any receivers and processes.
 *
 * @param rig has processes that run
 */
export const deliveriesHold = (rig: Rig) =>
  fc.asyncProperty(
    fc.array(SETTINGS, { minLength: 1, maxLength: 4 }),
    fc.array(STEP, { minLength: 5, maxLength: 30 }),
    async (settings, steps) => {
      const merchants = [await rig.merchant(), await rig.merchant()] as const
      const receivers = await Promise.all(settings.map(({ behaviours }) => startReceiver(inTurns(behaviours))))
      const endpoints: TestEndpoint[] = []
      for (const [place, { merchant, ordering, types }] of settings.entries()) {
        const { url } = at(receivers, place)
        endpoints.push(await rig.endpoint(url, { merchantId: merchants[merchant], ordering, types }))
      }
      try {
        const sent = await play(rig, steps, merchants)
        for (const receiver of receivers) receiver.answerWith(() => 204)
        await deliverAll(rig)
        const expired = await findExpired(rig)
        for (const [place, each] of settings.entries()) {
          const { id, secret } = at(endpoints, place)
          const of = (event: Sent) => expired.has(`${id} ${nameOf(event)}`)
          expectDelivered(sent, { ...each, secret, isExpired: of }, at(receivers, place))
        }
        await expectNoneLeftBehind(rig.database.url)
      } finally {
        for (const receiver of receivers) await receiver.stop()
      }
    },
  )

const nameOf = ({ paymentId, sequence }: Sent) => eventId(paymentId, sequence)

async function findExpired({ database }: Rig): Promise<ReadonlySet<string>> {
  const rows = await query<{ endpoint_id: string; payment_id: string; sequence: number }>(
    database.url,
    `select endpoint_id, payment_id, sequence from webhook_deliveries where status = 'expired'`,
  )
  return new Set(rows.map(({ endpoint_id, payment_id, sequence }) => `${endpoint_id} ${eventId(payment_id, sequence)}`))
}

const at = <Item>(items: readonly Item[], place: number): Item => defined(items[place], `item ${place}`)

function inTurns(behaviours: readonly Behaviour[]): Parameters<typeof startReceiver>[0] {
  let count = 0
  return (received, res) => {
    switch (at(behaviours, count++ % behaviours.length)) {
      case 'ok':
        return 204
      case 'fail':
      case 'lost':
        return 500
      case 'overloaded':
        return 429
      case 'broken':
        res.destroy()
        return undefined
      case 'slow':
        setTimeout(() => {
          received.status = 200
          received.answeredAt = performance.now()
          res.writeHead(200).end()
        }, 40)
        return undefined
    }
  }
}

async function play(rig: Rig, steps: readonly Step[], merchants: readonly [string, string]): Promise<Sent[]> {
  const { url } = rig.database
  const sent: Sent[] = []
  const latest = new Map<string, Sent>()
  for (const step of steps) {
    switch (step.do) {
      case 'pay': {
        const paymentId = await rig.pay(merchants[step.merchant])
        const event = { paymentId, sequence: 1, merchant: step.merchant, type: 'payment.created' }
        sent.push(event)
        latest.set(paymentId, event)
        break
      }
      case 'event': {
        const last = [...latest.values()][step.payment % Math.max(1, latest.size)]
        if (!last) break
        const event = { ...last, sequence: last.sequence + 1, type: step.type }
        await query(
          url,
          `insert into payment_events (payment_id, merchant_id, sequence, type, actor, created_at) values
          ('${event.paymentId}', '${merchants[event.merchant]}', ${event.sequence}, '${event.type}', 'api', now())`,
        )
        sent.push(event)
        latest.set(event.paymentId, event)
        break
      }
      case 'die': {
        const claimed = await claimAndDie(rig.db, { deliveriesMax: step.deliveriesMax, window: 3 })
        await endLeases(url, claimed)
        break
      }
      case 'pass':
        await pass(url, step.ms)
    }
    rig.wake()
  }
  return sent
}

/** Lets time pass until every delivery has succeeded or expired. */
async function deliverAll(rig: Rig): Promise<void> {
  await eventually(
    async () => {
      rig.wake()
      const [row] = await query<{ left: string }>(
        rig.database.url,
        `select (select count(*) from webhook_deliveries where finished_at is null) + (
          select count(*) from payment_events e join webhook_cursors c using (merchant_id) where (e.xid, e.id) > (c.xid, c.id)) as left`,
      )
      if (row?.left === '0') return
      await pass(rig.database.url, 10 * HOUR_MS)
      throw new Error(`${row?.left} deliveries or events are left`)
    },
    { intervalMs: 20, timeoutMs: 30_000 },
  )
}

interface Expected extends Settings {
  secret: string
  isExpired: (event: Sent) => boolean
}

function expectDelivered(sent: readonly Sent[], expected: Expected, { received }: Receiver): void {
  const { merchant, types, ordering, secret, isExpired } = expected
  const wanted = sent.filter((event) => event.merchant === merchant && (types === null || types.includes(event.type)))
  const successes = received.filter(({ status = 0 }) => status >= 200 && status < 300)
  expect(new Set(received.map(({ id }) => id))).to.deep.equal(new Set(wanted.map(nameOf)))
  const succeeded = successes.map(({ id }) => id)
  expect(succeeded).to.include.members(wanted.filter((event) => !isExpired(event)).map(nameOf))
  for (const request of received) {
    verifyWith(secret, request)
    expect(request.id).to.equal(eventId(request.data.id, request.data.sequence))
    expect(request.body).to.equal(received.find(({ id }) => id === request.id)?.body)
  }
  if (ordering === 'none') return
  for (const [, events] of Map.groupBy(wanted, ({ paymentId }) => paymentId))
    for (const [place, event] of events.entries()) {
      const before = events[place - 1]
      if (!before || isExpired(before)) continue
      const first = received.find(({ id }) => id === nameOf(event))
      const success = successes.find(({ id }) => id === nameOf(before))
      expect(success?.answeredAt, `success of ${nameOf(before)}`).to.be.at.most(first?.at ?? 0)
    }
}
