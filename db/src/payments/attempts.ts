import { compiledOnce, type ParameterOf } from '@cashflow/outbox'
import { type Kysely, sql, type Transaction } from 'kysely'
import { mayBeItemsOwn } from '../postgres/errors.ts'
import { isAmong, recordSet } from '../statement.ts'
import type { PaymentAttemptsTable, Tables } from '../tables.ts'

/** What happened to a PENDING payment, for operators. */
export interface AttemptInsert {
  readonly paymentId: string
  readonly kind: PaymentAttemptsTable['kind']
  /** The service, or `operator`. */
  readonly actor: string
  /** The payment's attempts after it. */
  readonly attempts: number
  readonly data?: AttemptData | undefined
}

/** JSON with names in snake_case. Undefined members are left out. */
export interface AttemptData {
  readonly reason?: string | undefined
  readonly [member: string]: unknown
}

const GIVEN = recordSet('given', { payment_id: 'uuid', kind: 'text', actor: 'text', attempts: 'int', data: 'jsonb' })
const COLUMNS = ['payment_id', 'kind', 'actor', 'attempts', 'data'] as const
/** Maximum number of rows of one kind for one payment. */
const ROWS_MAX = 10

/**
 * Writes a row for each payment, in the transaction that has locked the payment. Where PostgreSQL cannot use the table,
 * because of damage, no row is written, and the transaction goes on.
 *
 * A payment may be redriven every hour forever, or looked up every 5 minutes for days. So a payment has at most 10 rows of a
 * kind. The tenth is then updated: it shows the last time, and `repeats` says how many times it stands for.
 *
 * @param attempts at most one for each payment
 */
export async function recordAttempts(tx: Transaction<Tables>, attempts: readonly AttemptInsert[]): Promise<void> {
  if (attempts.length === 0) return
  await sql`savepoint attempts`.execute(tx)
  try {
    await RECORD(tx, { attempts: GIVEN.json(attempts.map(toRow)) })
  } catch (error) {
    if (!mayBeItemsOwn(error)) throw error
    // A damaged row or page of this table must not hold up the payment. PostgreSQL has logged it.
    await sql`rollback to savepoint attempts`.execute(tx)
  }
}

const RECORD = compiledOnce((tx: Transaction<Tables>, parameter: ParameterOf<{ attempts: string }>) =>
  tx
    .with(
      (cte) => cte('given').materialized(),
      (qb) => qb.selectFrom(GIVEN.from(parameter('attempts'))).selectAll(),
    )
    .with('repeated', (qb) =>
      qb
        .updateTable('payment_attempts as a')
        .from((eb) =>
          eb
            .selectFrom('given')
            .crossJoinLateral((inner) =>
              inner
                .selectFrom('payment_attempts as earlier')
                .select(({ fn }) => [fn.max('earlier.id').as('last_id'), fn.countAll().as('rows')])
                .whereRef('earlier.payment_id', '=', 'given.payment_id')
                .whereRef('earlier.kind', '=', sql.ref('given.kind'))
                .as('earlier'),
            )
            .selectAll('given')
            .select('earlier.last_id')
            .where('earlier.rows', '>=', sql.lit(ROWS_MAX))
            .as('r'),
        )
        .whereRef('a.id', '=', 'r.last_id')
        .set((eb) => ({
          at: eb.fn<Date>('clock_timestamp'),
          actor: eb.ref('r.actor'),
          attempts: eb.ref('r.attempts'),
          // As `sql`: the builder has no operators of jsonb.
          data: sql<string>`r.data || jsonb_build_object('repeats', coalesce((a.data ->> 'repeats')::int, 1) + 1)`,
        }))
        .returning('a.payment_id'),
    )
    .insertInto('payment_attempts')
    .columns(COLUMNS)
    .expression((eb) =>
      eb
        .selectFrom('given')
        .select(COLUMNS)
        .where((given) => given.not(isAmong(given.ref('payment_id'), eb.selectFrom('repeated').select('payment_id')))),
    ),
)

interface Judged {
  id: string
  verdict: string
  /** The attempts of the row, and those with a lease that has expired. */
  attempts: number
  attempts_now: number
}

/**
 * Inserts a row for each claim that counts an expired lease, as a `with` of a statement of the same `db`. No row names the
 * worker that had the lease, but its token is a UUIDv7, and so tells when it was made.
 *
 * @param source an earlier `with` of that statement: its rows are the judged payments, as they were locked
 */
export function expiredStep(db: Kysely<Tables>, source: string) {
  // As `sql`: the builder has neither constructors of jsonb nor time zones.
  const lease = sql<string>`jsonb_build_object('claim_token', claim_token,
    'lease_until', to_char(lease_until at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))`
  return db
    .insertInto('payment_attempts')
    .columns(COLUMNS)
    .expression(
      db
        .selectFrom(sql.table<Judged>(source).as('judged'))
        .select(['id', sql.lit('expired').as('kind'), sql.lit('worker').as('actor'), 'attempts_now', lease.as('data')])
        .where('verdict', '=', sql.lit('claimed'))
        .whereRef('attempts_now', '>', 'attempts')
        .where(
          (eb) =>
            eb
              .selectFrom('payment_attempts as earlier')
              .select(({ fn }) => fn.countAll().as('rows'))
              .whereRef('earlier.payment_id', '=', 'judged.id')
              .where('earlier.kind', '=', sql.lit('expired')),
          '<',
          sql.lit(ROWS_MAX),
        ),
    )
}

const REASON_MAX = 1_000

function toRow({ paymentId, kind, actor, attempts, data }: AttemptInsert) {
  // The text of any error may be a reason, and jsonb holds neither NUL nor half of a surrogate pair.
  const reason = data?.reason?.slice(0, REASON_MAX).replaceAll('\u0000', '').toWellFormed()
  return { payment_id: paymentId, kind, actor, attempts, data: { ...data, reason } }
}
