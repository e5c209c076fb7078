import { join } from 'node:path'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import type { Place } from '../place.ts'
import { startProcess } from '../process.ts'
import { declareProductQueue } from '../queue/queue.ts'
import { PRODUCT_TEMPLATE } from '../servers.ts'
import { type Kind, startSystem } from '../system.ts'
import { connect } from '../textbook/broker.ts'
import { TEXTBOOK_TEMPLATE } from '../textbook/template.ts'
import { type Preparation, preparePlace } from './prepare.ts'
import type { Worker } from './worker.ts'

const PRODUCT: Preparation = {
  template: PRODUCT_TEMPLATE,
  declare: declareProductQueue,
  async store(place, ids) {
    await place.query(
      // Redriven long after the end: here the broker loses nothing, and all have waited longer than a payment should.
      `insert into payments (id, merchant_id, reference, amount_minor, currency, status, redrive_at)
       select id, $2, id, 10000, 'USD', 'PENDING', now() + interval '1 hour' from unnest($1::uuid[]) as id`,
      [ids, DEFAULT_MERCHANT_ID],
    )
    await place.query(
      `insert into payment_events (payment_id, merchant_id, sequence, type, actor)
       select id, $2, 1, 'payment.created', 'api' from unnest($1::uuid[]) as id`,
      [ids, DEFAULT_MERCHANT_ID],
    )
  },
}

const TEXTBOOK: Preparation = {
  template: TEXTBOOK_TEMPLATE,
  declare: async (url) => (await connect(url)).close(),
  store: (place, ids) =>
    place.query(
      `insert into payments (id, reference, amount, currency) select id, id, 100, 'USD' from unnest($1::uuid[]) as id`,
      [ids],
    ),
}

const WIDE = 1_000

export const productWorker = settlingWorker('product', PRODUCT)
/** As the sizing guide has it for many payments a second: with ten times as many in hand. */
export const wideProductWorker = settlingWorker('product', PRODUCT, {
  WORKER_PREFETCH: String(WIDE),
  PROVIDER_CONCURRENCY: String(WIDE),
})
export const textbookWorker = settlingWorker('textbook', TEXTBOOK)

/** The limit of both: it takes messages, and does nothing about them. */
export const bareConsumer: Worker = {
  prepare: (servers, count, signal) => preparePlace(servers, count, signal, { ...PRODUCT, store: async () => {} }),
  start: (servers, place, count) =>
    startProcess({
      name: 'bare-consumer',
      file: join(import.meta.dirname, '../limits/consume-and-ack.ts'),
      place,
      env: { MESSAGES: String(count) },
      dir: servers.dir,
    }),
  // It leaves when all is acknowledged.
  isDone: async (_place, { consumers }) => consumers === 0,
}

function settlingWorker(kind: Kind, preparation: Preparation, more: Readonly<Record<string, string>> = {}): Worker {
  return {
    prepare: (servers, count, signal) => preparePlace(servers, count, signal, preparation),
    async start(servers, place, _count, instances) {
      const env = { PROVIDER_SUCCESS_RATE: '1', ...more }
      const system = await startSystem(servers, kind, Array<'worker'>(instances).fill('worker'), { place, env })
      return { stop: system.halt }
    },
    isDone: allSettled,
  }
}

async function allSettled(place: Place): Promise<boolean> {
  const pending = await place.query(`select from payments where status = 'PENDING' limit 1`)
  return pending.length === 0
}
