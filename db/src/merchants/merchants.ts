import { uuidv7 } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { type Operator, recordAction } from '../operator/actions.ts'
import { type Done, orRefused, refused } from '../operator/done.ts'
import { isDamage } from '../postgres/errors.ts'
import type { Tables } from '../tables.ts'

export interface Merchant {
  readonly id: string
  readonly name: string
  readonly createdAt: Date
}

const COLUMNS = ['id', 'name', 'created_at as createdAt'] as const

export const NO_SUCH_MERCHANT = 'No merchant has this id.'

/** Creates a merchant. Names are unique: repeated after a lost answer, it is refused and names the merchant that exists. */
export function createMerchant(
  db: Kysely<Tables>,
  { name, by }: { name: string; by: Operator },
): Promise<Done<{ merchant: Merchant }>> {
  return orRefused(
    { act: 'create it', on: `merchant ${name}` },
    db.transaction().execute(async (tx) => {
      const merchant = await tx
        .insertInto('merchants')
        .values({ id: uuidv7(), name })
        .onConflict((conflict) => conflict.doNothing())
        .returning(COLUMNS)
        .executeTakeFirst()
      if (!merchant) {
        const { id } = await tx.selectFrom('merchants').select('id').where('name', '=', name).executeTakeFirstOrThrow()
        return refused(`Merchant ${id} has this name.`)
      }
      await recordAction(tx, by, { action: 'merchants create', target: merchant.id, after: { name } })
      return { done: true, merchant }
    }),
  )
}

export function listMerchants(db: Kysely<Tables>): Promise<Merchant[]> {
  return db.selectFrom('merchants').select(COLUMNS).orderBy('created_at').orderBy('id').execute()
}

/** Lists merchants whose names begin with `begin`, the oldest first. To continue after the last one, pass its id as `after`. */
export function searchMerchants(
  db: Kysely<Tables>,
  { begin, after, limit }: { begin?: string | undefined; after?: string | undefined; limit: number },
): Promise<Merchant[]> {
  return db
    .selectFrom('merchants')
    .select(COLUMNS)
    .$if(begin !== undefined, (read) =>
      read.where((eb) => eb.fn<boolean>('starts_with', ['name', eb.val(begin ?? '')])),
    )
    .$if(after !== undefined, (read) => read.where('id', '>', after ?? ''))
    .orderBy('id')
    .limit(limit)
    .execute()
}

export function findMerchant(db: Kysely<Tables>, id: string): Promise<Merchant | undefined> {
  return db.selectFrom('merchants').select(COLUMNS).where('id', '=', id).executeTakeFirst()
}

/** Returns the names of merchants by their ids. It is empty if PostgreSQL cannot read one: a list needs no name. */
export async function merchantNames(db: Kysely<Tables>, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  if (ids.length === 0) return new Map()
  const names = db.selectFrom('merchants').select(['id', 'name']).where('id', 'in', ids)
  const rows = await names.execute().catch((error: unknown) => {
    if (!isDamage(error)) throw error
    return []
  })
  return new Map(rows.map(({ id, name }) => [id, name]))
}

/** True if a merchant has this id. Merchants are never deleted. */
export async function merchantExists(db: Kysely<Tables>, id: string): Promise<boolean> {
  return (await db.selectFrom('merchants').select('id').where('id', '=', id).executeTakeFirst()) !== undefined
}
