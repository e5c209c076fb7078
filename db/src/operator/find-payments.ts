import type { Currency, PaymentStatus } from '@cashflow/domain'
import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'
import { type Done, refused } from './done.ts'

/** A payment that an operator's text names. */
export interface NamedPayment {
  readonly id: string
  readonly merchantId: string
  /** Null if the row of the merchant is missing. */
  readonly merchant: string | null
  readonly reference: string
  readonly amountMinor: bigint
  readonly currency: Currency
  /** Null for a payment that was pruned. */
  readonly status: PaymentStatus | null
  /** Null for a payment that was pruned before its time was kept. */
  readonly createdAt: Date | null
  readonly prunedAt: Date | null
}

/** Finds the payment of an id, of any merchant, also if it was pruned. */
export async function findById(db: Kysely<Tables>, id: string): Promise<NamedPayment | undefined> {
  const stored = await db
    .selectFrom('payments as p')
    .leftJoin('merchants as m', 'm.id', 'p.merchant_id')
    .select(STORED)
    .where('p.id', '=', id)
    .executeTakeFirst()
  if (stored) return toNamed({ ...stored, pruned_at: null })
  const pruned = await db
    .selectFrom('pruned_references as p')
    .leftJoin('merchants as m', 'm.id', 'p.merchant_id')
    .select(PRUNED)
    .where('p.id', '=', id)
    .executeTakeFirst()
  return pruned && toNamed({ ...pruned, status: null })
}

/** More merchants are not searched one by one. */
const MERCHANTS_MAX = 1_000

interface Search {
  /** Undefined for all merchants. */
  readonly merchantId?: string | undefined
  readonly limit: number
}

/** Found payments, one for each merchant that has the name, the newest first. Refused if a merchant has to be chosen. */
export type FoundByName = Done<{ readonly payments: readonly NamedPayment[] }>

/**
 * Finds the payments of a reference, also pruned ones. It looks the reference up for each merchant: no index has references of
 * all merchants. So with more than 1,000 merchants one has to be chosen.
 */
export function findByReference(
  db: Kysely<Tables>,
  { reference, ...search }: Search & { reference: string },
): Promise<FoundByName> {
  return findByName(db, 'reference', reference, search)
}

/** Finds the payments of an idempotency key, as `findByReference` does those of a reference. */
export function findByIdempotencyKey(
  db: Kysely<Tables>,
  { idempotencyKey, ...search }: Search & { idempotencyKey: string },
): Promise<FoundByName> {
  return findByName(db, 'idempotency_key', idempotencyKey, search)
}

async function findByName(
  db: Kysely<Tables>,
  column: 'reference' | 'idempotency_key',
  name: string,
  { merchantId, limit }: Search,
): Promise<FoundByName> {
  if (merchantId === undefined && (await hasMany(db)))
    return refused(
      'There are more than 1,000 merchants, so the name is looked up for one of them. Choose the merchant.',
    )
  // As `sql`: the builder has COLLATE only in an ORDER BY.
  const wanted = sql<string>`${name} collate "C"`
  const searched = db
    .selectFrom('merchants')
    .select(['id', 'name'])
    .$if(merchantId !== undefined, (read) => read.where('id', '=', merchantId ?? ''))
    // By the primary key. For a scan of the table, which is not enabled, PostgreSQL would compile the statement: 300 ms.
    .orderBy('id')
    .limit(MERCHANTS_MAX)
  const merchants = db.selectFrom(searched.as('m'))
  const stored = await merchants
    .crossJoinLateral((eb) =>
      eb
        .selectFrom('payments')
        .select([...NAMING, 'status'])
        .whereRef('payments.merchant_id', '=', 'm.id')
        .where(`payments.${column}`, '=', wanted)
        .limit(sql.lit(1)) // A fence: a look-up for each merchant, in every plan.
        .as('p'),
    )
    .select(STORED)
    .orderBy('p.created_at', 'desc')
    .limit(limit)
    .execute()
  const pruned = await merchants
    .crossJoinLateral((eb) =>
      eb
        .selectFrom('pruned_references')
        .select([...NAMING, 'pruned_at'])
        .whereRef('pruned_references.merchant_id', '=', 'm.id')
        .where(`pruned_references.${column}`, '=', wanted)
        .limit(sql.lit(1))
        .as('p'),
    )
    .select(PRUNED)
    .orderBy('p.pruned_at', 'desc')
    .limit(limit)
    .execute()
  return {
    done: true,
    payments: [
      ...stored.map((row) => toNamed({ ...row, pruned_at: null })),
      // A payment whose pruning has only begun is in both tables.
      ...pruned
        .filter(({ id }) => !stored.some((row) => row.id === id))
        .map((row) => toNamed({ ...row, status: null })),
    ],
  }
}

async function hasMany(db: Kysely<Tables>): Promise<boolean> {
  const some = await db.selectFrom('merchants').select('id').orderBy('id').offset(MERCHANTS_MAX).limit(1).execute()
  return some.length > 0
}

const NAMING = ['id', 'merchant_id', 'reference', 'amount_minor', 'currency', 'created_at'] as const
const SHARED = [
  'p.id',
  'p.merchant_id',
  'm.name as merchant',
  'p.reference',
  'p.amount_minor',
  'p.currency',
  'p.created_at',
] as const
const STORED = [...SHARED, 'p.status'] as const
const PRUNED = [...SHARED, 'p.pruned_at'] as const

interface Row {
  id: string
  merchant_id: string
  merchant: string | null
  reference: string
  amount_minor: string
  currency: string
  status: PaymentStatus | null
  created_at: Date | null
  pruned_at: Date | null
}

function toNamed(row: Row): NamedPayment {
  return {
    id: row.id,
    merchantId: row.merchant_id,
    merchant: row.merchant,
    reference: row.reference,
    amountMinor: BigInt(row.amount_minor),
    currency: row.currency as Currency,
    status: row.status,
    createdAt: row.created_at,
    prunedAt: row.pruned_at,
  }
}
