import { type Kysely, type Selectable, sql } from 'kysely'
import type { Tables } from '../tables.ts'
import type { SealedSecret } from '../webhooks/endpoint.ts'
import type { WebhookEndpointsTable } from '../webhooks/tables.ts'
import { type Operator, recordAction } from './actions.ts'
import { type Done, orRefused, refused } from './done.ts'

/** Ids of endpoints that one statement reads. */
const PAGE_MAX = 1_000

export interface Rekeying {
  readonly by: Operator
  /** The key that seals. */
  readonly keyId: string
  /** Opens a secret and seals it with the key `keyId`. Throws if it cannot be opened. */
  readonly reseal: (sealed: SealedSecret, endpointId: string) => SealedSecret
  /** Called after each endpoint. */
  readonly onProgress?: (counts: Readonly<RekeyCounts>) => void
  /** Called for each endpoint whose secrets stay as they are, with the reason. */
  readonly onRefused: (endpointId: string, why: string) => Promise<void>
  /** Ends it after the endpoint that is being worked on. */
  readonly signal?: AbortSignal | undefined
}

export interface RekeyCounts {
  /** Endpoints whose secrets this run has sealed again. */
  rekeyed: number
  refused: number
}

/**
 * Seals the secrets of all endpoints that are not deleted with one key, also former ones that still sign. A former secret
 * whose time is over is removed. Each endpoint is a transaction of its own, so it can be interrupted and repeated. Its row is
 * locked: a rotation of its secret comes before or after, and no secret is lost. Services read either form.
 */
export async function rekeySecrets(db: Kysely<Tables>, options: Rekeying): Promise<RekeyCounts> {
  const counts: RekeyCounts = { rekeyed: 0, refused: 0 }
  let after: string | undefined
  do {
    const ids = await withOtherKey(db, options.keyId, after)
    for (const id of ids) {
      if (options.signal?.aborted) return counts
      const done = await rekeyEndpoint(db, id, options)
      if (!done.done) {
        counts.refused += 1
        await options.onRefused(id, done.why)
      } else if (done.isChanged) counts.rekeyed += 1
      options.onProgress?.(counts)
    }
    after = ids.length === PAGE_MAX ? ids.at(-1) : undefined
  } while (after !== undefined)
  return counts
}

/** The endpoints that have a secret under another key, in the order of their ids. */
async function withOtherKey(db: Kysely<Tables>, keyId: string, after: string | undefined): Promise<string[]> {
  const rows = await db
    .selectFrom('webhook_endpoints')
    .select('id')
    .where('deleted_at', 'is', null)
    .where((eb) => eb.or([eb('secret_key_id', '<>', keyId), eb('former_secret_key_id', '<>', keyId)]))
    .$if(after !== undefined, (read) => read.where('id', '>', after ?? ''))
    .orderBy('id')
    .limit(PAGE_MAX)
    .execute()
  return rows.map(({ id }) => id)
}

function rekeyEndpoint(
  db: Kysely<Tables>,
  id: string,
  { by, keyId, reseal }: Rekeying,
): Promise<Done<{ isChanged: boolean }>> {
  return orRefused(
    { act: 'rekey', on: `endpoint ${id}` },
    db.transaction().execute(async (tx) => {
      const row = await tx
        .selectFrom('webhook_endpoints')
        .select(['secret', 'secret_key_id', 'former_secret', 'former_secret_key_id'])
        // As `sql`: the builder has no such clock.
        .select(sql<boolean>`coalesce(former_secret_until <= clock_timestamp(), false)`.as('is_former_over'))
        .where('id', '=', id)
        .where('deleted_at', 'is', null)
        .forUpdate()
        .executeTakeFirst()
      const sealed = row ? secretsOf(row) : []
      // Deleted, or rekeyed by another run.
      if (!row || sealed.every((secret) => secret.keyId === keyId)) return { done: true, isChanged: false }
      const changes: Partial<Row> = row.is_former_over ? { ...NO_FORMER } : {}
      try {
        for (const { column, keyColumn, ...secret } of sealed.slice(0, row.is_former_over ? 1 : 2)) {
          if (secret.keyId === keyId) continue
          const resealed = reseal(secret, id)
          Object.assign(changes, { [column]: resealed.sealed, [keyColumn]: resealed.keyId })
        }
      } catch (error) {
        return refused(error instanceof Error ? error.message : String(error))
      }
      await tx.updateTable('webhook_endpoints').set(changes).where('id', '=', id).execute()
      await recordAction(tx, by, {
        action: 'webhooks rekey',
        target: id,
        before: { keys: sealed.map((secret) => secret.keyId) },
        after: { key: keyId },
      })
      return { done: true, isChanged: true }
    }),
  )
}

type Row = Pick<
  Selectable<WebhookEndpointsTable>,
  'secret' | 'secret_key_id' | 'former_secret' | 'former_secret_key_id' | 'former_secret_until'
>

const NO_FORMER = { former_secret: null, former_secret_key_id: null, former_secret_until: null }

/** The current secret, and the former one. */
function secretsOf({ secret, secret_key_id, former_secret, former_secret_key_id }: Omit<Row, 'former_secret_until'>) {
  const current = { column: 'secret', keyColumn: 'secret_key_id', sealed: secret, keyId: secret_key_id } as const
  if (former_secret === null || former_secret_key_id === null) return [current]
  const former = { sealed: former_secret, keyId: former_secret_key_id }
  return [current, { column: 'former_secret', keyColumn: 'former_secret_key_id', ...former } as const]
}
