import { uuidv7 } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import type { Done } from '../operator/dead-letters.ts'
import type { Tables } from '../tables.ts'

export interface Merchant {
  readonly id: string
  readonly name: string
  readonly createdAt: Date
}

const COLUMNS = ['id', 'name', 'created_at as createdAt'] as const

export const NO_SUCH_MERCHANT = 'No merchant has this id.'

/** Creates a merchant. Names are unique: repeated after a lost answer, it is refused and names the merchant that exists. */
export async function createMerchant(db: Kysely<Tables>, name: string): Promise<Done<{ merchant: Merchant }>> {
  const merchant = await db
    .insertInto('merchants')
    .values({ id: uuidv7(), name })
    .onConflict((conflict) => conflict.doNothing())
    .returning(COLUMNS)
    .executeTakeFirst()
  if (merchant) return { done: true, merchant }
  const { id } = await db.selectFrom('merchants').select('id').where('name', '=', name).executeTakeFirstOrThrow()
  return { done: false, why: `Merchant ${id} has this name.` }
}

export function listMerchants(db: Kysely<Tables>): Promise<Merchant[]> {
  return db.selectFrom('merchants').select(COLUMNS).orderBy('created_at').orderBy('id').execute()
}

/** True if a merchant has this id. Merchants are never deleted. */
export async function merchantExists(db: Kysely<Tables>, id: string): Promise<boolean> {
  return (await db.selectFrom('merchants').select('id').where('id', '=', id).executeTakeFirst()) !== undefined
}
