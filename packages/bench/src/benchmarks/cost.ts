import { defined } from '@cashflow/async'
import type { Benchmark, Context, Figure } from '../benchmark.ts'
import { newPayments } from '../client.ts'
import { type Contender, TEXTBOOK } from '../contender.ts'
import { sendAll } from '../load.ts'
import { untilDrained } from '../payment-counts.ts'
import type { Place } from '../place.ts'
import { startMeter, treeCpuMs } from '../resources.ts'
import { alternate, compare } from '../rounds.ts'
import type { Servers } from '../servers.ts'
import { onSystem, type System } from '../system.ts'

const CONNECTIONS = 32

/** Resources that have been used so far. */
type Bill = Readonly<Record<'wal' | 'services' | 'postgres' | 'rabbitmq', number>>

const ITEMS: readonly Figure<keyof Bill | 'commits'>[] = [
  { metric: 'wal', what: 'WAL', unit: 'bytes' },
  { metric: 'commits', what: 'commits', unit: '' },
  { metric: 'services', what: 'CPU of the services', unit: 'ms' },
  { metric: 'postgres', what: 'CPU of PostgreSQL', unit: 'ms' },
  { metric: 'rabbitmq', what: 'CPU of RabbitMQ', unit: 'ms' },
]

export const cost: Benchmark = {
  name: 'cost',
  title: 'the cost of a payment from POST /payments to the confirm of its outcome message, under load',
  async run(context) {
    const rounds = await alternate(
      { product: () => measure(context.product, context), textbook: () => measure(TEXTBOOK, context) },
      context,
    )
    const ratios = [['product', 'textbook']] as const
    return ITEMS.flatMap((figure) => compare(rounds, { ...figure, ratios }))
  },
  alone: { items: 'payments', more: ITEMS, measure: (context) => measure(context.product, context) },
}

function measure(contender: Contender, { servers, quick, signal }: Context) {
  const count = quick ? 50 : 10_000
  return onSystem(servers, contender, ['api', 'relay', 'worker'], async (system) => {
    const { place, url } = system
    const load = { url, connections: CONNECTIONS, next: newPayments(), signal }
    // Code that is loaded and compiled once is not a cost of each payment.
    await sendAll(load, count / 10)
    await untilDrained(place, contender, signal)
    // After a checkpoint, the first change of each page logs the whole page. So all variants begin with a checkpoint.
    await place.query('checkpoint')
    const commitsBefore = await countCommits(place)
    const before = await read(servers, system)
    const stop = startMeter()
    await sendAll(load, count)
    await untilDrained(place, contender, signal)
    const pace = stop(count)
    const after = await read(servers, system)
    // A session reports its statistics when it is idle, or when it ends.
    await system.halt()
    const commits = (await countCommits(place)) - commitsBefore
    const each = (item: keyof Bill) => (after[item] - before[item]) / count
    return {
      ...pace,
      wal: each('wal'),
      commits: commits / count,
      services: each('services'),
      postgres: each('postgres'),
      rabbitmq: each('rabbitmq'),
    }
  })
}

async function read({ postgres, rabbitmq }: Servers, { place, processes }: System): Promise<Bill> {
  const [row] = await place.query<{ wal: number }>(`select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as wal`)
  return {
    wal: defined(row, 'row').wal,
    services: processes.reduce((total, service) => total + service.cpuMs(), 0),
    postgres: treeCpuMs(postgres.pid),
    rabbitmq: treeCpuMs(rabbitmq.pid),
  }
}

/** Counts the commits. They include ten a second by the benchmark itself, which reads the backlog. */
async function countCommits(place: Place): Promise<number> {
  const [row] = await place.query<{ count: number }>(
    'select xact_commit::float8 as count from pg_stat_database where datname = current_database()',
  )
  return defined(row, 'row').count
}
