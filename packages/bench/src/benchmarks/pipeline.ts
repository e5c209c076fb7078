import { setTimeout as sleep } from 'node:timers/promises'
import { defined, pause } from '@cashflow/async'
import type { Benchmark, Context, Measured } from '../benchmark.ts'
import { newPayments } from '../client.ts'
import { type Contender, TEXTBOOK } from '../contender.ts'
import { repeat } from '../load.ts'
import type { Place } from '../place.ts'
import { type Pace, startMeter, treeCpuMs } from '../resources.ts'
import type { Servers } from '../servers.ts'
import { type System, startSystem } from '../system.ts'

const CONNECTIONS = 32
/**
 * Maximum number of pending payments. More would let the API take CPU time from relay and worker, so the measured rate
 * would not last.
 */
const PENDING_MAX = 2_000
const POLL_MS = 50
const GATE_POLL_MS = 100

/** What a pipeline has done and used so far. */
type Total = Readonly<Record<'settled' | 'wal' | 'commits' | 'services' | 'postgres' | 'rabbitmq', number>>

export const COSTS = [
  { metric: 'wal', what: 'WAL of a payment', unit: 'bytes' },
  { metric: 'commits', what: 'commits of a payment', unit: '' },
  { metric: 'services', what: 'CPU of the services for a payment', unit: 'ms' },
  { metric: 'postgres', what: 'CPU of PostgreSQL for a payment', unit: 'ms' },
  { metric: 'rabbitmq', what: 'CPU of RabbitMQ for a payment', unit: 'ms' },
] as const

export const pipeline: Benchmark = {
  name: 'pipeline',
  title: `from POST /payments to SUCCESS or FAILED, never more than ${PENDING_MAX} pending, one process of each service, with the cost of a payment`,
  figures: [{ metric: 'rate', what: 'settled', unit: '/s' }, ...COSTS],
  ratios: [['product', 'textbook']],
  compared: 'product',
  variants: (context) => ({
    product: () => measurePipeline(context.product, context),
    textbook: () => measurePipeline(TEXTBOOK, context),
  }),
}

/** @param env settings of all services */
export async function measurePipeline(
  contender: Contender,
  context: Context,
  env: Readonly<Record<string, string>> = {},
): Promise<Pace & Measured> {
  const { quick, signal, servers } = context
  const warmUpMs = quick ? 500 : 10_000
  await using system = await startSystem(servers, contender, ['api', 'relay', 'worker'], { env })
  const { url, place } = system
  // After a checkpoint, the first change of each page logs the whole page. So all variants begin with a checkpoint.
  await place.query('checkpoint')
  const gate = backlogGate(place, signal)
  const next = newPayments()
  let ended = false
  const load = repeat({ url, connections: CONNECTIONS, signal }, async (client) => {
    await gate.pass()
    await client.send(next())
    return ended ? 'enough' : 'again'
  })
  try {
    const steady = sleep(warmUpMs, undefined, { signal }).then(() => measureSteady(system, context))
    // The load ends by itself only when it fails.
    return await Promise.race([steady, load.then(() => steady)])
  } finally {
    ended = true
    await gate.close()
    await load.catch(() => {}) // Thrown above.
  }
}

/** Measures for at least the given time and at least one payment, because the machine may stall. */
async function measureSteady(system: System, { servers, quick, signal }: Context): Promise<Pace & Measured> {
  const before = await readTotal(system, servers)
  const stop = startMeter()
  for (let waitMs = quick ? 2_000 : 20_000; ; waitMs = POLL_MS) {
    await sleep(waitMs, undefined, { signal })
    const after = await readTotal(system, servers)
    const settled = after.settled - before.settled
    if (settled === 0) continue
    const costs = COSTS.map(({ metric }) => [metric, (after[metric] - before[metric]) / settled])
    return { ...stop(settled), ...Object.fromEntries(costs) }
  }
}

/**
 * The commits include those of the benchmark's own looks at the backlog, ten a second. A busy session reports its
 * commits once a second.
 */
async function readTotal({ place, processes }: System, { postgres, rabbitmq }: Servers): Promise<Total> {
  const [row] = await place.query<Pick<Total, 'settled' | 'wal' | 'commits'>>(`
    select (select count(*)::float8 from payments where status <> 'PENDING') as settled,
      pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as wal,
      (select xact_commit::float8 from pg_stat_database where datname = current_database()) as commits`)
  return {
    ...defined(row, 'row'),
    services: processes.reduce((sum, { pid }) => sum + treeCpuMs(pid), 0),
    postgres: treeCpuMs(postgres.pid),
    rabbitmq: treeCpuMs(rabbitmq.pid),
  }
}

/** Counts the payments that are PENDING. */
export async function countPending(place: Place): Promise<number> {
  const text = `select count(*)::int as count from payments where status = 'PENDING'`
  const [row] = await place.query<{ count: number }>(text)
  return defined(row, 'row').count
}

/** Lets payments pass while fewer than PENDING_MAX are pending. */
function backlogGate(place: Place, signal: AbortSignal) {
  const closing = new AbortController()
  const ending = AbortSignal.any([closing.signal, signal])
  const isFull = async () => !ending.aborted && (await countPending(place)) >= PENDING_MAX
  let opened: Promise<void> = Promise.resolve()

  async function drained(): Promise<void> {
    do await pause(GATE_POLL_MS, ending)
    while (await isFull())
  }

  async function watch(): Promise<void> {
    while (!ending.aborted) {
      if (await isFull()) opened = drained()
      await Promise.all([opened, pause(GATE_POLL_MS, ending)])
    }
  }

  const watching = watch()
  watching.catch(() => {}) // `close` throws it.
  return {
    /** Resolves when one more payment may be created. */
    pass: () => opened,
    /** Stops watching. @throws the error that has ended the watch */
    async close() {
      closing.abort()
      await watching
    },
  }
}
