import { join } from 'node:path'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { type Contender, type Product, TEXTBOOK } from '../contender.ts'
import { startProcess } from '../process.ts'
import { declareProductQueue } from '../queue/queue.ts'
import { startSystem } from '../system.ts'
import type { Worker } from './work.ts'

export const productWorker = (product: Product, env?: Readonly<Record<string, string>>) =>
  settlingWorker(product, storeProductPayments, env)

// Only columns that every tree has, because the product may be one of another commit.
const storeProductPayments: Worker['store'] = async (place, ids) => {
  await place.query(
    // Redriven long after the end, because here the broker loses no message.
    `insert into payments (id, merchant_id, reference, amount_minor, currency, status, redrive_at)
     select id, $2, id, 10000, 'USD', 'PENDING', now() + interval '1 hour' from unnest($1::uuid[]) as id`,
    [ids, DEFAULT_MERCHANT_ID],
  )
  await place.query(
    `insert into payment_events (payment_id, merchant_id, sequence, type, actor)
     select id, $2, 1, 'payment.created', 'api' from unnest($1::uuid[]) as id`,
    [ids, DEFAULT_MERCHANT_ID],
  )
}

export const textbookWorker = settlingWorker(TEXTBOOK, (place, ids) =>
  place.query(
    `insert into payments (id, reference, amount, currency) select id, id, 100, 'USD' from unnest($1::uuid[]) as id`,
    [ids],
  ),
)

/** The limit of both: it consumes messages, and does nothing else. */
export const bareConsumer: Worker = {
  template: 'template1',
  declareQueue: declareProductQueue,
  store: async () => {},
  start: (servers, place, count) =>
    startProcess({
      name: 'bare-consumer',
      file: join(import.meta.dirname, 'consume-and-ack.ts'),
      place,
      env: { MESSAGES: String(count) },
      dir: servers.dir,
    }),
  // It closes its connection when all messages are acknowledged.
  isDone: async (_place, { consumers }) => consumers === 0,
}

function settlingWorker(contender: Contender, store: Worker['store'], more?: Readonly<Record<string, string>>): Worker {
  return {
    template: contender.template,
    declareQueue: contender.declareQueue,
    store,
    start(servers, place, _count, instances) {
      const env = { PROVIDER_SUCCESS_RATE: '1', ...more }
      return startSystem(servers, contender, Array<'worker'>(instances).fill('worker'), { place, env })
    },
    async isDone(place) {
      const pending = await place.query(`select from payments where status = 'PENDING' limit 1`)
      return pending.length === 0
    },
  }
}
