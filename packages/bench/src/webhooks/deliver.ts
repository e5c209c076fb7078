import { setTimeout as sleep } from 'node:timers/promises'
import { uuidv7 } from '@cashflow/runtime'
import type { Context, Measured } from '../benchmark.ts'
import { createPlace, type Place } from '../place.ts'
import type { Running } from '../process.ts'
import { treeCpuMs } from '../resources.ts'
import type { Servers } from '../servers.ts'
import { percentile } from '../statistics.ts'
import { createMerchants, type Merchants, type Written } from './merchants.ts'
import { DEAD_URL, startReceiver } from './receiver.ts'
import type { EventSender, NewEndpoint } from './senders.ts'

const MERCHANTS = 10
/** Endpoints that refuse each connection: 10 of each of 100 merchants. */
const DEAD = { merchants: 100, each: 10 }
const POLL_MS = 50
/** Share of a backlog that warms up the process before the measurement. */
const WARM_UP_SHARE = 0.2

type Receiver = Awaited<ReturnType<typeof startReceiver>>

/** @param isolated whether each merchant also has endpoints that hang, drip and flood, and others have dead ones */
export async function deliver(context: Context, sender: EventSender, { isolated }: { isolated: boolean }) {
  const { servers, signal } = context
  const sizes = sizesOf(context)
  await using cleanup = new AsyncDisposableStack()
  const place = cleanup.use(await createPlace(servers, sender.template))
  const ids = Array.from({ length: MERCHANTS }, () => uuidv7())
  const deadIds = Array.from({ length: isolated ? DEAD.merchants : 0 }, () => uuidv7())
  await sender.addMerchants(place, [...ids, ...deadIds])
  const merchants = createMerchants(sender, place, { ids, deadIds })
  const writingUs = await measureWriting(merchants, place, context)

  const receiver = cleanup.use(await startReceiver(servers, 'ok'))
  const bad = cleanup.use(await startReceiver(servers, 'bad'))
  const healthy = ids.map((merchantId) => ({ merchantId, url: `${receiver.url}/ok` }))
  const others = isolated ? badEndpoints(ids, deadIds, bad.url) : []
  await sender.addEndpoints(place, [...healthy, ...others])
  merchants.forget() // They are older than the endpoints.
  const start = () => sender.start(servers, place)
  const steady = await measureSteady({ context, merchants, receiver, start, writingUs })
  await merchants.pileUp(sizes.backlog, signal)
  await place.query('vacuum analyze')
  return { ...steady, ...(await measureBacklog({ context, receiver, start, count: merchants.written.length })) }
}

function sizesOf({ quick }: Pick<Context, 'quick'>) {
  return quick
    ? { warmUpMs: 500, durationMs: 1_000, lastMs: 2_000, backlog: 200, limitMs: 2_000 }
    : { warmUpMs: 5_000, durationMs: 15_000, lastMs: 3_000, backlog: 20_000, limitMs: 20_000 }
}

function badEndpoints(ids: readonly string[], deadIds: readonly string[], url: string): NewEndpoint[] {
  return [
    ...ids.flatMap((merchantId) => ['hang', 'drip', 'huge'].map((path) => ({ merchantId, url: `${url}/${path}` }))),
    ...deadIds.flatMap((merchantId) => Array.from({ length: DEAD.each }, () => ({ merchantId, url: DEAD_URL }))),
  ]
}

/** Returns the CPU time that PostgreSQL takes for an event without a sender, in microseconds. */
async function measureWriting(merchants: Merchants, place: Place, context: Context): Promise<number> {
  const { servers, signal } = context
  const { warmUpMs, durationMs } = sizesOf(context)
  // After a checkpoint, the first change of each page logs the whole page. So all variants begin with a checkpoint.
  await place.query('checkpoint')
  await merchants.trade({ durationMs: warmUpMs, signal })
  const [before, count] = [treeCpuMs(servers.postgres.pid), merchants.written.length]
  await merchants.trade({ durationMs, signal })
  return ((treeCpuMs(servers.postgres.pid) - before) * 1_000) / (merchants.written.length - count)
}

interface Measurement {
  readonly context: Context
  readonly receiver: Receiver
  readonly start: () => Promise<Running>
}

async function measureSteady(
  options: Measurement & { readonly merchants: Merchants; readonly writingUs: number },
): Promise<Measured> {
  const { context, merchants, receiver, start, writingUs } = options
  const { servers, signal } = context
  const { warmUpMs, durationMs, lastMs } = sizesOf(context)
  await using process = await start()
  await merchants.trade({ durationMs: warmUpMs, signal })
  const arrivedBefore = await receiver.count()
  const [count, before] = [merchants.written.length, cpuMs(process, servers)]
  await merchants.trade({ durationMs, signal })
  const spentUs = (cpuMs(process, servers) - before) * 1_000
  const arrived = (await receiver.count()) - arrivedBefore
  const written = merchants.written.slice(count)
  const giveUpAt = performance.now() + lastMs
  while ((await receiver.count()) < merchants.written.length && performance.now() < giveUpAt)
    await sleep(POLL_MS, undefined, { signal })
  const tookMs = await latencies(receiver, written)
  return {
    p50Ms: percentile(tookMs, 50),
    p99Ms: percentile(tookMs, 99),
    cpuUs: (spentUs - writingUs * written.length) / Math.max(1, arrived),
    writingUs,
  }
}

/** Times from `created_at` to the endpoint. For an event that has not arrived, its age. */
async function latencies(receiver: Receiver, written: readonly Written[]): Promise<number[]> {
  const arrived = new Map((await receiver.arrivals()).map((arrival) => [arrival.id, arrival]))
  const nowMs = Date.now()
  return written.map(({ id, atMs }) => {
    const arrival = arrived.get(id)
    return arrival ? arrival.atMs - arrival.createdAtMs : nowMs - atMs
  })
}

/** Starts a sender with a backlog, and measures until all of it has arrived, or for at most the limit. */
async function measureBacklog({
  context,
  receiver,
  start,
  count,
}: Measurement & { readonly count: number }): Promise<Record<'rate' | 'backlogCpuUs', number>> {
  const { servers, signal } = context
  const { backlog, limitMs } = sizesOf(context)
  const from = (await receiver.count()) + backlog * WARM_UP_SHARE
  const giveUpAt = performance.now() + limitMs
  await using process = await start()
  const isOver = (arrived: number) => arrived >= count || performance.now() > giveUpAt
  const until = async (isReached: (arrived: number) => boolean) => {
    for (;;) {
      const arrived = await receiver.count()
      if (isReached(arrived)) return { arrived, atMs: performance.now(), cpuMs: cpuMs(process, servers) }
      await sleep(POLL_MS, undefined, { signal })
    }
  }
  const first = await until((arrived) => arrived >= from || isOver(arrived))
  const last = await until(isOver)
  const done = last.arrived - first.arrived
  return {
    rate: (done / (last.atMs - first.atMs)) * 1_000,
    backlogCpuUs: ((last.cpuMs - first.cpuMs) * 1_000) / Math.max(1, done),
  }
}

function cpuMs({ pid }: Running, { postgres }: Servers): number {
  return treeCpuMs(pid) + treeCpuMs(postgres.pid)
}
