import { randomUUID } from 'node:crypto'
import { pause } from '@cashflow/async'
import { type Kysely, sql } from 'kysely'
import { createEndpoint, type Endpoint, type Tables } from '../../src/index.ts'
import { fanOut, type Ordering } from '../../src/webhooks.ts'

export const SEALED = { sealed: Buffer.from('sealed'), keyId: '0123456789ab' }

const SETTINGS = { url: 'https://hooks.example.com/', description: null, types: null, ordering: 'payment' } as const

/** @returns the id of a new merchant */
export async function newMerchant(db: Kysely<Tables>): Promise<string> {
  const id = randomUUID()
  await db.insertInto('merchants').values({ id, name: id }).execute()
  return id
}

/** @throws unless the endpoint is created */
export async function newEndpoint(
  db: Kysely<Tables>,
  merchantId: string,
  settings: { types?: readonly string[]; id?: string; ordering?: Ordering } = {},
): Promise<Endpoint> {
  const created = await createEndpoint(db, { ...SETTINGS, id: randomUUID(), merchantId, secret: SEALED, ...settings })
  if (created.outcome !== 'created') throw new Error(created.outcome)
  return created.endpoint
}

/** Fans out until the merchant has no more events below the horizon. */
export async function fanOutAll(db: Kysely<Tables>, merchantId: string, isSandbox = false): Promise<void> {
  const options = { merchantIds: [merchantId], eventsMax: 100, bodyOf: () => '{}', isSandbox }
  // A transaction of another test on this server may hide events for a while.
  for (const giveUpAt = performance.now() + HIDDEN_MS; ; await pause(25)) {
    const { hasMore, stoppedBy } = await fanOut(db, options)
    if (hasMore) continue
    if (stoppedBy.length > 0 || performance.now() > giveUpAt || !(await hasEventsAhead(db, merchantId))) return
  }
}

const HIDDEN_MS = 20_000

async function hasEventsAhead(db: Kysely<Tables>, merchantId: string): Promise<boolean> {
  const { rows } = await sql`select from webhook_cursors c join payment_events e using (merchant_id)
    where merchant_id = ${merchantId} and (e.xid, e.id) > (c.xid, c.id) limit 1`.execute(db)
  return rows.length > 0
}

/** Ids of the payments whose events have a delivery to the endpoint, in the order of the deliveries. */
export async function deliveredTo(db: Kysely<Tables>, endpointId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('webhook_deliveries')
    .select('payment_id')
    .where('endpoint_id', '=', endpointId)
    .orderBy('id')
    .execute()
  return rows.map(({ payment_id }) => payment_id)
}

/** Finishes every delivery to an endpoint, as the service does. */
export async function finishAll(db: Kysely<Tables>, endpointId: string): Promise<void> {
  await db
    .updateTable('webhook_deliveries')
    .set({ status: 'succeeded', finished_at: new Date(), claim_token: null })
    .where('endpoint_id', '=', endpointId)
    .execute()
}
