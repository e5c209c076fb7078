import { randomUUID } from 'node:crypto'
import { createDatabase, createEndpoint } from '@cashflow/db'
import { createLogger } from '@cashflow/runtime'
import { createSecretBox, newSecret, parseSealingKeys } from '@cashflow/webhook-sender'
import { type Contender, type Product, TEXTBOOK, WEBHOOK_SETTINGS } from '../contender.ts'
import type { Place } from '../place.ts'
import { type Running, startProcess } from '../process.ts'
import type { Servers } from '../servers.ts'

export interface NewEndpoint {
  readonly merchantId: string
  readonly url: string
}

export interface NewPayment {
  readonly id: string
  readonly merchantId: string
}

/** A program that sends events to endpoints, with its tables. */
export interface EventSender {
  readonly template: string
  addMerchants(place: Place, ids: readonly string[]): Promise<unknown>
  addEndpoints(place: Place, endpoints: readonly NewEndpoint[]): Promise<void>
  /** Creates payments and settles others, in one transaction: an event for each. */
  write(place: Place, created: readonly NewPayment[], settled: readonly NewPayment[]): Promise<unknown>
  start(servers: Servers, place: Place): Promise<Running>
}

/** Endpoints that are created at a time. */
const AT_A_TIME = 4

export const productSender = (product: Product): EventSender => ({
  template: product.template,
  addMerchants: (place, ids) =>
    place.query('insert into merchants (id, name) select id, id from unnest($1::uuid[]) as id', [ids]),
  addEndpoints: addProductEndpoints,
  write: (place, created, settled) =>
    place.query(
      // The notification that a relay gets. Redriven long after the end, because no worker runs.
      `with created as (
         insert into payments (id, merchant_id, reference, amount_minor, currency, status, redrive_at)
         select id, merchant_id, id, 10000, 'USD', 'PENDING', now() + interval '1 hour'
         from unnest($1::uuid[], $2::uuid[]) as given (id, merchant_id) returning id, merchant_id),
       settled as (
         update payments set status = 'SUCCESS', settled_at = clock_timestamp(), redrive_at = null
         where id = any($3::uuid[]) returning id, merchant_id),
       recorded as (
         insert into payment_events (payment_id, merchant_id, sequence, type, actor)
         select id, merchant_id, 1, 'payment.created', 'api' from created
         union all
         select id, merchant_id, 2, 'payment.succeeded', 'worker' from settled returning 1)
       select count(*), pg_notify('outbox', '') from recorded`,
      [created.map(({ id }) => id), created.map(({ merchantId }) => merchantId), settled.map(({ id }) => id)],
    ),
  start: (servers, place) => start(servers, place, product, WEBHOOK_SETTINGS),
})

/** One loop that posts one event after the other, in their order. */
export const textbookSender: EventSender = {
  template: TEXTBOOK.template,
  addMerchants: async () => {},
  addEndpoints: async (place, endpoints) => {
    await place.query(
      `insert into webhook_endpoints (merchant_id, url, secret)
       select merchant_id, url, 'a-secret' from unnest($1::uuid[], $2::text[]) as given (merchant_id, url)`,
      [endpoints.map(({ merchantId }) => merchantId), endpoints.map(({ url }) => url)],
    )
  },
  write: (place, created, settled) =>
    place.query(
      `with created as (
         insert into payments (id, reference, amount, currency) select id, id, 100, 'USD' from unnest($1::uuid[]) as id),
       settled as (
         update payments set status = 'SUCCESS', updated_at = now() where id = any($3::uuid[]))
       insert into webhook_deliveries (endpoint_id, body)
       select e.id, jsonb_build_object('id', 'evt_' || given.id || '_' || given.sequence, 'type', given.type, 'timestamp', now(),
         'data', jsonb_build_object('id', given.id, 'amount', 100, 'currency', 'USD'))
       from (
         select *, 1 as sequence, 'payment.created' as type from unnest($1::uuid[], $2::uuid[]) as given (id, merchant_id)
         union all
         select *, 2, 'payment.succeeded' from unnest($3::uuid[], $4::uuid[]) as given (id, merchant_id)) as given
       join webhook_endpoints e on e.merchant_id = given.merchant_id`,
      [created, settled].flatMap((payments) => [
        payments.map(({ id }) => id),
        payments.map(({ merchantId }) => merchantId),
      ]),
    ),
  start: (servers, place) => start(servers, place, TEXTBOOK, {}),
}

function start(
  { dir }: Servers,
  place: Place,
  { kind, node, fileOf }: Contender,
  env: Readonly<Record<string, string>>,
) {
  return startProcess({ name: `${kind}-webhooks`, node, file: fileOf('webhooks'), place, env, dir })
}

async function addProductEndpoints(place: Place, endpoints: readonly NewEndpoint[]): Promise<void> {
  const secrets = createSecretBox(parseSealingKeys(WEBHOOK_SETTINGS.SECRETS_KEY))
  const logger = createLogger({ service: 'bench', level: 'error' })
  await using db = createDatabase({
    url: place.databaseUrl,
    applicationName: 'bench',
    poolMax: AT_A_TIME,
    logger,
  })
  const left = endpoints.values()
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      for (const { merchantId, url } of left) {
        const id = randomUUID()
        const secret = secrets.seal(newSecret(), id)
        const settings = { url, types: null, ordering: 'payment', description: null } as const
        await createEndpoint(db, { id, merchantId, secret, ...settings })
      }
    }),
  )
}
