import { join } from 'node:path'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { type Contender, type Product, TEXTBOOK } from '../contender.ts'
import { createPlace, type Place } from '../place.ts'
import { startProcess } from '../process.ts'
import { createdMessages } from '../queue/messages.ts'
import { openPublisher } from '../queue/publisher.ts'
import { declareProductQueue } from '../queue/queue.ts'
import type { Servers } from '../servers.ts'
import { startSystem } from '../system.ts'
import { connect } from '../textbook/broker.ts'
import type { Worker } from './work.ts'

interface Preparation {
  readonly template: string
  /** Declares the queue at this broker. */
  readonly declare: (brokerUrl: string) => Promise<void>
  /** Stores payments with these ids. */
  readonly store: (place: Place, ids: readonly string[]) => Promise<unknown>
}

// Only columns that every tree has, because the product may be one of another commit.
const PRODUCT_PAYMENTS: Omit<Preparation, 'template'> = {
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
/** A prefetch of 1,000 instead of 100, as the sizing guide advises for many payments a second. */
export const wideProductWorker = (product: Product) =>
  settlingWorker(product, PRODUCT_PAYMENTS, {
    WORKER_PREFETCH: String(WIDE),
    PROVIDER_CONCURRENCY: String(WIDE),
  })
export const textbookWorker = settlingWorker(TEXTBOOK, TEXTBOOK_PAYMENTS)

/** The limit of both: it consumes messages, and does nothing else. */
export const bareConsumer: Worker = {
  prepare: (servers, count, signal) =>
    preparePlace(servers, count, signal, { ...PRODUCT_PAYMENTS, template: 'template1', store: async () => {} }),
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

/** Stores payments, and publishes their messages. */
async function preparePlace(
  servers: Servers,
  count: number,
  signal: AbortSignal,
  { template, declare, store }: Preparation,
): Promise<Place> {
  await using unfinished = new AsyncDisposableStack()
  const place = unfinished.adopt(await createPlace(servers, template), ({ drop }) => drop())
  await declare(place.brokerUrl)
  await using published = new AsyncDisposableStack()
  const { publish } = published.adopt(await openPublisher(place.brokerUrl), ({ close }) => close())
  for (const messages of createdMessages(count)) {
    signal.throwIfAborted()
    await store(
      place,
      messages.map(({ key }) => key),
    )
    await publish(messages)
  }
  // As after autovacuum. Otherwise the first reader would clean up.
  await place.query('vacuum analyze')
  unfinished.move()
  return place
}
