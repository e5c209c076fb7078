import { type Kysely, sql } from 'kysely'
import { BIGINT_MAX, type Span } from '../postgres/pages.ts'
import { isUnreadable, type LeftOut, leftOut, readPastDamage } from '../postgres/past-damage.ts'
import type { Tables } from '../tables.ts'
import { DELIVERY_COLUMNS, type Delivery, toDelivery } from '../webhooks/delivery.ts'
import type { DeliveryStatus } from '../webhooks/tables.ts'
import { CUT_MS } from './read-rows.ts'

export interface DeliverySearch {
  readonly endpointId?: string | undefined
  readonly status?: DeliveryStatus | undefined
  readonly paymentId?: string | undefined
  /** The number of an event of the payment. */
  readonly sequence?: number | undefined
  /** The id of the last delivery of the page before. */
  readonly after?: string | undefined
  readonly limit: number
}

/**
 * Lists deliveries, the newest first, without those that PostgreSQL cannot read. It finds those of a payment by its id, and
 * otherwise reads at most `limit` of each endpoint that is not deleted.
 */
export async function searchDeliveries(
  db: Kysely<Tables>,
  { after, limit, ...search }: DeliverySearch,
): Promise<{ deliveries: readonly Delivery[]; leftOut: readonly LeftOut[] }> {
  // Places count backwards from the highest id.
  const { found } = await readPastDamage<Delivery>({
    read: async (span, most) => (await pageOf(db, search, { ...span, most }).execute()).map(toDelivery),
    placeOf: ({ id }) => BIGINT_MAX - BigInt(id),
    span: { after: after === undefined ? -1n : BIGINT_MAX - BigInt(after), to: BIGINT_MAX },
    ...{ limit, cutMs: CUT_MS },
  })
  return {
    deliveries: found.flatMap((part) => (isUnreadable(part) ? [] : part)),
    leftOut: found.filter(isUnreadable).map(({ at, error }) => leftOut(`delivery ${BIGINT_MAX - at}`, error)),
  }
}

function pageOf(
  db: Kysely<Tables>,
  { paymentId, sequence, endpointId, status }: Omit<DeliverySearch, 'after' | 'limit'>,
  { after, to, most }: Span & { most: number },
) {
  const [first, last] = [String(BIGINT_MAX - after - 1n), String(BIGINT_MAX - to)]
  const deliveries = db
    .selectFrom('webhook_deliveries as d')
    .select(DELIVERY_COLUMNS.map((column) => `d.${column}` as const))
    .where('d.id', '<=', first)
    .where('d.id', '>=', last)
    .$if(status !== undefined, (read) => read.where('d.status', '=', status ?? 'pending'))
    .orderBy('d.id', 'desc')
    .limit(most)
  if (paymentId !== undefined)
    return deliveries
      .where('d.payment_id', '=', paymentId)
      .$if(sequence !== undefined, (read) => read.where('d.sequence', '=', sequence ?? 0))
      .$if(endpointId !== undefined, (read) => read.where('d.endpoint_id', '=', endpointId ?? ''))
  return db
    .selectFrom('webhook_endpoints as e')
    .innerJoinLateral(deliveries.where('d.endpoint_id', '=', sql.ref<string>('e.id')).as('found'), (on) => on.onTrue())
    .selectAll('found')
    .where('e.deleted_at', 'is', null)
    .$if(endpointId !== undefined, (read) => read.where('e.id', '=', endpointId ?? ''))
    .orderBy('found.id', 'desc')
    .limit(most)
}
