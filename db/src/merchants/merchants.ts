import { uuidv7 } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { type Operator, recordAction } from '../operator/actions.ts'
import { type Done, orRefused, refused } from '../operator/done.ts'
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

/** True if a merchant has this id. Merchants are never deleted. */
export async function merchantExists(db: Kysely<Tables>, id: string): Promise<boolean> {
  return (await db.selectFrom('merchants').select('id').where('id', '=', id).executeTakeFirst()) !== undefined
}
