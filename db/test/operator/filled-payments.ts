import { type Kysely, sql } from 'kysely'
import type { Tables } from '../../src/index.ts'

/** Time between two payments, in milliseconds. */
const STEP_MS = 20

/** The id of a filled payment: made at its time of creation, as every id is. */
const ID = sql`(lpad(to_hex(first + n * ${sql.lit(STEP_MS)}), 12, '0') || '7000' || '8' || lpad(to_hex(n), 15, '0'))::uuid`
const MERCHANT = (n: string) => sql.raw(`(lpad(to_hex(${n}), 12, '0') || '70008000000000000002')::uuid`)

interface Filling {
  readonly payments: number
  readonly merchants: number
  /** How many of 100 payments are PENDING. */
  readonly pending: number
}

/**
 * Stores payments of the last hours, of the merchants in turn: 9 of 100 are FAILED, some PENDING, the others SUCCESS. Of ten
 * PENDING ones one is parked, and four wait for a retry. Half of all have an idempotency key. Pruned references have their own.
 */
export async function fillPayments(db: Kysely<Tables>, { payments, merchants, pending }: Filling): Promise<void> {
  await sql`insert into merchants (id, name)
    select ${MERCHANT('n')}, 'merchant ' || n from generate_series(1, ${merchants - 1}::int) n`.execute(db)
  const values = sql`select n, ${ID} as id, m.id as merchant_id, to_timestamp((first + n * ${sql.lit(STEP_MS)}) / 1000.0) as at,
      case when k < ${pending}::int then 'PENDING' when k < ${pending + 9}::int then 'FAILED' else 'SUCCESS' end as status
    from generate_series(0, ${payments - 1}::int) n,
      (select floor(extract(epoch from now()) * 1000)::bigint - ${payments * STEP_MS}::bigint as first) f,
      lateral (select case n % ${merchants}::int when 0 then '00000000-0000-7000-8000-000000000001'::uuid
        else ${MERCHANT(`n % ${merchants}`)} end as id) m,
      lateral (select (n + n / 1000) % 100 as k) s`
  await sql`insert into payments (id, merchant_id, reference, amount_minor, currency, status, idempotency_key, attempts,
      created_at, settled_at, failure_code, redrive_at, parked_at)
    select id, merchant_id, 'REF-' || n / 1000, 100, 'USD', status, case n % 2 when 0 then 'key-' || n / 1000 end,
      case when n / 1000 % 10 in (1, 2, 3, 4) then 2 else 0 end, at,
      case when status <> 'PENDING' then at + interval '1 second' end, case status when 'FAILED' then 'declined' end,
      case when status = 'PENDING' and n / 1000 % 10 <> 9 then now() + n * interval '1 millisecond' end,
      case when status = 'PENDING' and n / 1000 % 10 = 9 then at end
    from (${values}) v`.execute(db)
  await sql`insert into pruned_references (merchant_id, reference, idempotency_key, id, amount_minor, currency, created_at)
    select merchant_id, 'PRUNED-' || n / 1000, 'pruned-' || n / 1000, id, 100, 'USD', at
    from (${values}) v where n / 1000 % 100 = 0`.execute(db)
  await sql`analyze`.execute(db)
}
