import type { Benchmark, Context, Measured } from '../benchmark.ts'
import { newPayments, type Request } from '../client.ts'
import { closedLoop } from '../load.ts'
import { createPlace, type Place } from '../place.ts'
import { startSystem } from '../system.ts'

const CONNECTIONS = 32
const CHUNK = 250_000
/** Number of different payments that are read. It is more than a cache of the API could hold. */
const READ_COUNT = 20_000

export const stored: Benchmark = {
  name: 'stored',
  title: 'POST and GET with 5,000,000 payments stored, and with none',
  figures: [
    { metric: 'posted', what: 'POST', unit: '/s' },
    { metric: 'found', what: 'GET', unit: '/s' },
  ],
  ratios: [['full', 'empty']],
  async variants(context, cleanup) {
    const create = () => createPlace(context.servers, context.product.template)
    const full = cleanup.use(await create())
    await store(full, context.quick ? 20_000 : 5_000_000, context)
    return {
      full: () => measure(full, context),
      async empty() {
        await using place = await create()
        return await measure(place, context)
      },
    }
  },
}

async function measure(place: Place, { servers, product, quick, signal }: Context): Promise<Measured> {
  await using api = await startSystem(servers, product, ['api'], { place })
  const times = quick ? { warmUpMs: 100, durationMs: 300 } : { warmUpMs: 10_000, durationMs: 10_000 }
  const load = { ...times, url: api.url, connections: CONNECTIONS, signal }
  const posted = await closedLoop({ ...load, next: newPayments() })
  const found = await closedLoop({ ...load, next: await findPayments(place) })
  return { posted: posted.rate, found: found.rate }
}

/** Returns requests for payments from the whole table. A large table is not completely in memory. */
async function findPayments(place: Place): Promise<() => Request> {
  const rows = await place.query<{ id: string }>('select id from payments order by random() limit $1', [READ_COUNT])
  let turn = 0
  return () => ({ method: 'GET', path: `/payments/${rows[turn++ % rows.length]?.id}`, status: 200 })
}

/** Stores settled payments with their events, one a second until now, as after weeks of operation. */
async function store(place: Place, count: number, { say, signal }: Context): Promise<void> {
  for (let from = 0; from < count; from += CHUNK) {
    signal.throwIfAborted()
    say(`${from.toLocaleString('en-US')} of ${count.toLocaleString('en-US')} payments stored`)
    await place.query(
      `with paid as (
        insert into payments (id, merchant_id, reference, amount_minor, currency, status, created_at, settled_at)
        select uuidv7(age), '00000000-0000-7000-8000-000000000001', 'stored-' || md5(n::text), 1 + n, 'USD', 'SUCCESS',
          now() + age, now() + age + interval '2 s'
        from (select n, make_interval(secs => n - $3::int) as age from generate_series($1::int, $2::int) as n) as ages
        returning id, merchant_id, created_at, settled_at
      )
      insert into payment_events (payment_id, merchant_id, sequence, type, actor, created_at)
      select id, merchant_id, 1, 'payment.created', 'api', created_at from paid
      union all
      select id, merchant_id, 2, 'payment.succeeded', 'worker', settled_at from paid`,
      [from, Math.min(from + CHUNK, count) - 1, count],
    )
  }
  say('vacuuming')
  await place.query('vacuum analyze')
  await place.query('checkpoint')
}
