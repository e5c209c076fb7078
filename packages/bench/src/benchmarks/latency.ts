import { setTimeout as sleep } from 'node:timers/promises'
import type { Benchmark, Context, Figure } from '../benchmark.ts'
import { createClient, newPayments } from '../client.ts'
import { type Contender, TEXTBOOK } from '../contender.ts'
import { createListener } from '../listener.ts'
import { openLoop } from '../load.ts'
import { type Pace, startMeter } from '../meter.ts'
import { alternate, compare, type Measured } from '../rounds.ts'
import { percentile } from '../statistics.ts'
import { onSystem, type System } from '../system.ts'

const PER_SECOND = 50
const CONNECTIONS = 32
const CREATED = ['payment.created']
const SETTLED = ['payment.succeeded', 'payment.failed']
/** For the last payment's messages. */
const LAST_MS = 120_000

/** When what had happened to one payment, in milliseconds: the answer since its request was sent, the rest since it was created. */
interface Way {
  readonly answered: number
  readonly queued: number
  readonly settled: number
  readonly told: number
}

const STATIONS: readonly [keyof Way, what: string][] = [
  ['answered', 'sent → 201'],
  ['queued', 'created → in a queue'],
  ['settled', 'created → settled, by the row'],
  ['told', 'created → its outcome in a queue'],
]
const PERCENTS = [50, 99]
const FIGURES: readonly Figure[] = STATIONS.flatMap(([station, what]) =>
  PERCENTS.map((percent) => ({ metric: `${station} p${percent}`, what: `${what}, p${percent}`, unit: 'ms' })),
)
/** When the row's transaction was about to commit. */
const SETTLED_AT: Record<Contender['kind'], string> = { product: 'settled_at', textbook: 'updated_at' }

export const latency: Benchmark = {
  name: 'latency',
  title: `${PER_SECOND} payments/s, evenly spaced, the provider answering at once`,
  async run(context) {
    const rounds = await alternate(
      { product: () => measure(context.product, context), textbook: () => measure(TEXTBOOK, context) },
      context,
    )
    return FIGURES.flatMap((figure) => compare(rounds, { ...figure, ratios: [['product', 'textbook']] }))
  },
  alone: { items: 'payments', more: FIGURES, measure: (context) => measure(context.product, context) },
}

function measure(contender: Contender, context: Context): Promise<Pace & Measured> {
  return onSystem(context.servers, contender, ['api', 'relay', 'worker'], async (system) => {
    const { quick } = context
    // The first ones pay for what is loaded, compiled and connected when it is first used.
    await follow(system, contender, context, quick ? 200 : 5_000)
    const stop = startMeter()
    const ways = await follow(system, contender, context, quick ? 500 : 20_000)
    const pace = stop(ways.length)
    const times = STATIONS.flatMap(([station]) => {
      const all = ways.map((way) => way[station])
      return PERCENTS.map((percent) => [`${station} p${percent}`, percentile(all, percent)])
    })
    return { ...pace, ...Object.fromEntries(times) }
  })
}

async function follow(
  { place, url }: System,
  { kind }: Contender,
  { signal }: Context,
  durationMs: number,
): Promise<Way[]> {
  const listener = await createListener(place, [...CREATED, ...SETTLED])
  const client = createClient(url, CONNECTIONS)
  const next = newPayments()
  const found: { id: string; sentAt: number; answeredAt: number; queuedAt: number; toldAt: number }[] = []
  try {
    const load = openLoop({ perSecond: PER_SECOND, durationMs, signal }, async () => {
      const sentAt = performance.now()
      const answer = JSON.parse(await client.send(next())) as { id: string } | { payment_id: string }
      const id = 'id' in answer ? answer.id : answer.payment_id
      const answeredAt = performance.now()
      const queuedAt = await listener.heard(CREATED, id)
      const toldAt = await listener.heard(SETTLED, id)
      found.push({ id, sentAt, answeredAt, queuedAt, toldAt })
    })
    await inTime(load, durationMs + LAST_MS, signal)
    const rows = await place.query<{ id: string; created: number; settled: number }>(
      `select id, extract(epoch from created_at)::float8 * 1000 as created,
        extract(epoch from ${SETTLED_AT[kind]})::float8 * 1000 as settled from payments where id = any($1)`,
      [found.map(({ id }) => id)],
    )
    const stored = new Map(rows.map((row) => [row.id, row]))
    return found.map(({ id, sentAt, answeredAt, queuedAt, toldAt }) => {
      const { created, settled } = stored.get(id) ?? { created: Number.NaN, settled: Number.NaN }
      const createdAt = created - performance.timeOrigin
      return {
        answered: answeredAt - sentAt,
        queued: queuedAt - createdAt,
        settled: settled - created,
        told: toldAt - createdAt,
      }
    })
  } finally {
    await client.close()
    await listener.close()
  }
}

async function inTime(work: Promise<void>, ms: number, signal: AbortSignal): Promise<void> {
  const late = new AbortController()
  const deadline = sleep(ms, undefined, { signal: AbortSignal.any([late.signal, signal]) }).then(() => {
    throw new Error(`some messages have not come within ${ms} ms`)
  })
  deadline.catch(() => {})
  try {
    await Promise.race([work, deadline])
  } finally {
    late.abort()
  }
}
