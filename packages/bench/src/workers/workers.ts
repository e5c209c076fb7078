import { join } from 'node:path'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { type Contender, type Product, TEXTBOOK } from '../contender.ts'
import { startProcess } from '../process.ts'
import { declareProductQueue } from '../queue/queue.ts'
import { startSystem } from '../system.ts'
import { connect } from '../textbook/broker.ts'
import type { Worker } from './work.ts'

type Env = Readonly<Record<string, string>>
type Preparation = Pick<Worker, 'declare' | 'store'>

// Only columns that every tree has, because the product may be one of another commit.
const PRODUCT_PAYMENTS: Preparation = {
  declare: declareProductQueue,
  async store(place, ids) {
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
  },
}

export const productWorker = (product: Product, env: Env = {}) => settlingWorker(product, PRODUCT_PAYMENTS, env)

export const textbookWorker = settlingWorker(TEXTBOOK, {
  declare: async (url) => (await connect(url)).close(),
  store: (place, ids) =>
    place.query(
      `insert into payments (id, reference, amount, currency) select id, id, 100, 'USD' from unnest($1::uuid[]) as id`,
      [ids],
    ),
})

/** The limit of both: it consumes messages, and does nothing else. */
export const bareConsumer: Worker = {
  template: 'template1',
  declare: declareProductQueue,
  store: async () => {},
  start: (servers, place, count) =>
    startProcess({
      name: 'bare-consumer',
      file: join(import.meta.dirname, 'consume-and-ack.ts'),
      place,
      env: { MESSAGES: String(count) },
      dir: servers.dir,
    }),
  // It leaves when all messages are acknowledged.
  isDone: async (_place, { consumers }) => consumers === 0,
}

function settlingWorker(contender: Contender, preparation: Preparation, more: Env = {}): Worker {
  return {
    ...preparation,
    template: contender.template,
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
