import type { Currency, PaymentStatus } from '@cashflow/domain'
import { type Kysely, sql } from 'kysely'
import type { Tables } from '../tables.ts'

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

/**
 * Finds the payments of a reference, one for each merchant that has it, the newest first. It looks the reference up for each
 * merchant: no index has references of all merchants.
 */
export async function findByReference(
  db: Kysely<Tables>,
  { reference, merchantId, limit }: { reference: string; merchantId?: string | undefined; limit: number },
): Promise<NamedPayment[]> {
  // As `sql`: the builder has COLLATE only in an ORDER BY.
  const wanted = sql<string>`${reference} collate "C"`
  const merchants = db
    .selectFrom('merchants as m')
    .$if(merchantId !== undefined, (read) => read.where('m.id', '=', merchantId ?? ''))
  const stored = await merchants
    .crossJoinLateral((eb) =>
      eb
        .selectFrom('payments')
        .select([...NAMING, 'status'])
        .whereRef('payments.merchant_id', '=', 'm.id')
        .where('payments.reference', '=', wanted)
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
        .where('pruned_references.reference', '=', wanted)
        .limit(sql.lit(1))
        .as('p'),
    )
    .select(PRUNED)
    .orderBy('p.pruned_at', 'desc')
    .limit(limit)
    .execute()
  return [
    ...stored.map((row) => toNamed({ ...row, pruned_at: null })),
    // A payment whose pruning has only begun is in both tables.
    ...pruned.filter(({ id }) => !stored.some((row) => row.id === id)).map((row) => toNamed({ ...row, status: null })),
  ]
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
