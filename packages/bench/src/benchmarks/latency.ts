import { defined, within } from '@cashflow/async'
import type amqp from 'amqplib'
import type { Benchmark, Context, Measured } from '../benchmark.ts'
import { createClient, newPayments } from '../client.ts'
import { type Contender, TEXTBOOK } from '../contender.ts'
import { openLoop } from '../load.ts'
import type { Place } from '../place.ts'
import { openChannel, TOPOLOGY } from '../queue/queue.ts'
import { type Pace, startMeter } from '../resources.ts'
import { percentile } from '../statistics.ts'
import { type System, startSystem } from '../system.ts'

const PER_SECOND = 50
const CONNECTIONS = 32
const CREATED = ['payment.created']
const SETTLED = ['payment.succeeded', 'payment.failed']
/** Time for the messages of the last payment to arrive. */
const LAST_MS = 120_000

/** Times of one payment in milliseconds. `answered` counts from the request, the others from the payment's creation. */
type Life = Readonly<Record<'answered' | 'queued' | 'settled' | 'published', number>>

const STATIONS: readonly [keyof Life, what: string][] = [
  ['answered', 'sent → 201'],
  ['queued', 'created → in a queue'],
  ['settled', 'created → settled, by the row'],
  ['published', 'created → its outcome in a queue'],
]
const PERCENTS = [50, 99]
/** The column with the time shortly before the settlement committed. */
const SETTLED_AT: Record<Contender['kind'], string> = { product: 'settled_at', textbook: 'updated_at' }

export const latency: Benchmark = {
  name: 'latency',
  title: `${PER_SECOND} payments/s, evenly spaced, the provider answering at once`,
  figures: [
    { metric: 'rate', what: 'payments', unit: '/s' },
    ...STATIONS.flatMap(([station, what]) =>
      PERCENTS.map((percent) => ({ metric: `${station} p${percent}`, what: `${what}, p${percent}`, unit: 'ms' })),
    ),
  ],
  ratios: [['product', 'textbook']],
  compared: 'product',
  variants: (context) => ({
    product: () => measure(context.product, context),
    textbook: () => measure(TEXTBOOK, context),
  }),
}

async function measure(contender: Contender, context: Context): Promise<Pace & Measured> {
  await using system = await startSystem(context.servers, contender, ['api', 'relay', 'worker'])
  const { quick } = context
  // The first payments pay for loading, compiling and connecting.
  await follow(system, contender, context, quick ? 200 : 5_000)
  const stop = startMeter()
  const lives = await follow(system, contender, context, quick ? 500 : 20_000)
  const pace = stop(lives.length)
  const times = STATIONS.flatMap(([station]) => {
    const all = lives.map((life) => life[station])
    return PERCENTS.map((percent) => [`${station} p${percent}`, percentile(all, percent)])
  })
  return { ...pace, ...Object.fromEntries(times) }
}

async function follow(
  { place, url }: System,
  { kind }: Contender,
  { signal }: Context,
  durationMs: number,
): Promise<Life[]> {
  await using listener = await createListener(place, [...CREATED, ...SETTLED])
  await using client = createClient(url, CONNECTIONS)
  const next = newPayments()
  const found = new Map<string, { answered: number; queuedAt: number; publishedAt: number }>()
  const load = openLoop({ perSecond: PER_SECOND, durationMs, signal }, async () => {
    const sentAt = performance.now()
    const answer = JSON.parse(await client.send(next())) as { id: string } | { payment_id: string }
    const id = 'id' in answer ? answer.id : answer.payment_id
    const answered = performance.now() - sentAt
    const queuedAt = await listener.arrived(CREATED, id)
    const publishedAt = await listener.arrived(SETTLED, id)
    found.set(id, { answered, queuedAt, publishedAt })
  })
  await within(load, { deadlineMs: durationMs + LAST_MS, what: 'the arrival of all messages', signal })
  const rows = await place.query<{ id: string; created: number; settled: number }>(
    `select id, extract(epoch from created_at)::float8 * 1000 as created,
      extract(epoch from ${SETTLED_AT[kind]})::float8 * 1000 as settled from payments where id = any($1)`,
    [[...found.keys()]],
  )
  return rows.map(({ id, created, settled }) => {
    const { answered, queuedAt, publishedAt } = defined(found.get(id), 'payment')
    const createdAt = created - performance.timeOrigin
    return { answered, queued: queuedAt - createdAt, settled: settled - created, published: publishedAt - createdAt }
  })
}

/** Receives the messages about payments from its own queue, which is bound next to the worker's queue. */
async function createListener({ brokerUrl }: Place, topics: string[]) {
  const { channel, ...closing } = await openChannel(brokerUrl)
  await channel.assertExchange(TOPOLOGY.exchange, 'topic', { durable: true })
  const { queue } = await channel.assertQueue('', { exclusive: true })
  for (const topic of topics) await channel.bindQueue(queue, TOPOLOGY.exchange, topic)

  const arrivals = new Map<string, PromiseWithResolvers<number>>()
  function arrival(topic: string, paymentId: string): PromiseWithResolvers<number> {
    const key = `${topic} ${paymentId}`
    const known = arrivals.get(key) ?? Promise.withResolvers<number>()
    arrivals.set(key, known)
    return known
  }
  const onMessage = (message: amqp.ConsumeMessage | null) => {
    const at = performance.now()
    if (!message) return
    const { payment_id: paymentId } = JSON.parse(message.content.toString()) as { payment_id: string }
    arrival(message.fields.routingKey, paymentId).resolve(at)
  }
  await channel.consume(queue, onMessage, { noAck: true })
  return {
    /** Resolves with the time of the first message about the payment on one of these topics, as of performance.now(). */
    arrived: (own: readonly string[], paymentId: string) =>
      Promise.race(own.map((topic) => arrival(topic, paymentId).promise)),
    ...closing,
  }
}
