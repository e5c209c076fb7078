import { type Kysely, type Selectable, sql } from 'kysely'
import { isOfMerchant } from '../payments/row.ts'
import type { Tables } from '../tables.ts'
import type { DisabledReason, Ordering, WebhookEndpointsTable } from './tables.ts'

/** An endpoint as its merchant sees it: without its secrets. */
export interface Endpoint {
  readonly id: string
  readonly url: string
  readonly description: string | null
  /** Null for all types. */
  readonly types: readonly string[] | null
  readonly ordering: Ordering
  readonly disabledAt: Date | null
  readonly disabledReason: DisabledReason | null
  /** Time of the last event before those that were not delivered, because the endpoint was disabled. */
  readonly missedSince: Date | null
  readonly failingSince: Date | null
  /** Time at which the former secret stops signing. Null if it has stopped. */
  readonly secretRotatesUntil: Date | null
  readonly createdAt: Date
}

/** A secret that is sealed for one endpoint, and the id of the key that opens it. */
export interface SealedSecret {
  readonly sealed: Buffer
  readonly keyId: string
}

/** The secrets that sign now: the present one, and the former one while they rotate. */
export function secretsOf(row: {
  secret: Buffer
  secret_key_id: string
  former_secret: Buffer | null
  former_secret_key_id: string | null
  is_rotating: boolean
}): SealedSecret[] {
  const { former_secret: sealed, former_secret_key_id: keyId } = row
  const present = { sealed: row.secret, keyId: row.secret_key_id }
  return row.is_rotating && sealed && keyId ? [present, { sealed, keyId }] : [present]
}

export interface EndpointName {
  readonly merchantId: string
  readonly id: string
}

/** What its merchant chooses for an endpoint. */
export interface EndpointSettings {
  readonly url: string
  readonly description: string | null
  /** Null for all types. */
  readonly types: readonly string[] | null
  readonly ordering: Ordering
}

/** The endpoints of a merchant that are not deleted. */
export function endpointsOf(db: Kysely<Tables>, merchantId: string) {
  return db
    .selectFrom('webhook_endpoints as e')
    .innerJoin('webhook_queues as q', 'q.endpoint_id', 'e.id')
    .select(['e.id', 'e.url', 'e.description', 'e.types', 'e.ordering', 'e.disabled_at', 'e.disabled_reason'])
    .select(['e.missed_at', 'e.created_at', 'q.failing_since'])
    .select(
      // As `sql`: the builder has no such clock.
      sql<Date | null>`case when e.former_secret_until > clock_timestamp() then e.former_secret_until end`.as(
        'rotates_until',
      ),
    )
    .where('e.merchant_id', '=', merchantId)
    .where('e.deleted_at', 'is', null)
}

type EndpointRow = Awaited<ReturnType<ReturnType<typeof endpointsOf>['executeTakeFirstOrThrow']>>

export function toEndpoint(row: EndpointRow): Endpoint {
  return {
    id: row.id,
    url: row.url,
    description: row.description,
    types: row.types,
    ordering: row.ordering,
    disabledAt: row.disabled_at,
    disabledReason: row.disabled_reason,
    missedSince: row.missed_at,
    failingSince: row.failing_since,
    secretRotatesUntil: row.rotates_until,
    createdAt: row.created_at,
  }
}

/** Locks an endpoint of a merchant, unless it is deleted. */
export async function lockEndpoint(
  tx: Kysely<Tables>,
  { merchantId, id }: EndpointName,
): Promise<Selectable<WebhookEndpointsTable> | undefined> {
  return await tx
    .selectFrom('webhook_endpoints')
    .selectAll()
    .where('id', '=', id)
    .where(isOfMerchant(sql.val(merchantId), 'webhook_endpoints'))
    .where('deleted_at', 'is', null)
    .forUpdate()
    .executeTakeFirst()
}

/** Lists the endpoints of a merchant, the oldest first. */
export async function listEndpoints(
  db: Kysely<Tables>,
  { merchantId, after, limit }: { merchantId: string; after?: string | undefined; limit: number },
): Promise<Endpoint[]> {
  const endpoints = endpointsOf(db, merchantId).orderBy('e.id').limit(limit)
  const rows = await (after === undefined ? endpoints : endpoints.where('e.id', '>', after)).execute()
  return rows.map(toEndpoint)
}

/** Undefined if the merchant has no such endpoint, or has deleted it. */
export async function findEndpoint(
  db: Kysely<Tables>,
  { merchantId, id }: EndpointName,
): Promise<Endpoint | undefined> {
  const row = await endpointsOf(db, merchantId).where('e.id', '=', id).executeTakeFirst()
  return row && toEndpoint(row)
}
