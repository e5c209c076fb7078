import { join } from 'node:path'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { type Contender, type Product, TEXTBOOK } from '../contender.ts'
import type { Place } from '../place.ts'
import { startProcess } from '../process.ts'
import { declareProductQueue } from '../queue/queue.ts'
import { startSystem } from '../system.ts'
import { connect } from '../textbook/broker.ts'
import { type Preparation, preparePlace } from './prepare.ts'
import type { Worker } from './worker.ts'

// Columns that every tree has: the product may be that of another commit.
const PRODUCT_PAYMENTS: Omit<Preparation, 'template'> = {
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

const TEXTBOOK_PAYMENTS: Omit<Preparation, 'template'> = {
  declare: async (url) => (await connect(url)).close(),
  store: (place, ids) =>
    place.query(
      `insert into payments (id, reference, amount, currency) select id, id, 100, 'USD' from unnest($1::uuid[]) as id`,
      [ids],
    ),
}

const WIDE = 1_000

export const productWorker = (product: Product) => settlingWorker(product, PRODUCT_PAYMENTS)
/** As the sizing guide has it for many payments a second: with ten times as many in hand. */
export const wideProductWorker = (product: Product) =>
  settlingWorker(product, PRODUCT_PAYMENTS, {
    WORKER_PREFETCH: String(WIDE),
    PROVIDER_CONCURRENCY: String(WIDE),
  })
export const textbookWorker = settlingWorker(TEXTBOOK, TEXTBOOK_PAYMENTS)

/** The limit of both: it takes messages, and does nothing about them. */
export const bareConsumer: Worker = {
  prepare: (servers, count, signal) =>
    preparePlace(servers, count, signal, { ...PRODUCT_PAYMENTS, template: 'template1', store: async () => {} }),
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

function settlingWorker(
  contender: Contender,
  preparation: Omit<Preparation, 'template'>,
  more: Readonly<Record<string, string>> = {},
): Worker {
  const { template } = contender
  return {
    prepare: (servers, count, signal) => preparePlace(servers, count, signal, { ...preparation, template }),
    async start(servers, place, _count, instances) {
      const env = { PROVIDER_SUCCESS_RATE: '1', ...more }
      const system = await startSystem(servers, contender, Array<'worker'>(instances).fill('worker'), { place, env })
      return { stop: system.halt }
    },
    isDone: allSettled,
  }
}

async function allSettled(place: Place): Promise<boolean> {
  const pending = await place.query(`select from payments where status = 'PENDING' limit 1`)
  return pending.length === 0
}
