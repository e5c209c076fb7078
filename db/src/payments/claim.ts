import type { Payment, PaymentStatus } from '@cashflow/domain'
import { compiledOnce, type ParameterOf } from '@cashflow/outbox'
import { type Kysely, sql } from 'kysely'
import { recordSet } from '../statement.ts'
import type { Tables } from '../tables.ts'
import { expiredStep } from './attempts.ts'
import { fromNow, PAYMENT_COLUMNS, toPayment } from './row.ts'

export interface NewClaim {
  readonly id: string
  /** Made for this claim. When the claim is made again, because its answer was lost, it finds its own lease. */
  readonly token: string
}

/** The verdict on a claim, with what the worker needs to act on it. */
export type Claim =
  /** `pending`: the provider has answered that it has not decided yet, so it may hold a charge. */
  | {
      readonly verdict: 'claimed'
      readonly payment: Payment
      readonly attempts: number
      readonly pending: boolean
      /** The hash of the payment's last event. */
      readonly lastHash: Buffer | null
      /** The payment's `metadata.simulate`. */
      readonly simulate: string | null
    }
  | { readonly verdict: 'settled'; readonly status: PaymentStatus }
  /** The payment waits for an operator. */
  | { readonly verdict: 'parked' }
  /** Another worker processes the payment, or its next attempt is not due yet. */
  | { readonly verdict: 'leased'; readonly leaseLeftMs: number }
  /** No attempt is left. */
  | { readonly verdict: 'exhausted'; readonly attempts: number }
  /** No payment has this id. */
  | { readonly verdict: 'unknown' }
  /** Another session has locked the payment, and the claim did not wait for it. The id may be unknown as well. */
  | { readonly verdict: 'locked' }

export interface ClaimOptions {
  leaseMs: number
  attemptsMax: number
  /**
   * Time from the lease's end to the redrive of a payment that is still PENDING, in milliseconds, at most. A redrive that
   * is due after the lease's end and before that time stays as it is: the row is then updated in place (HOT), without a
   * write to any index.
   */
  redriveAfterMs: number
}

const ASKED = recordSet('asked', { place: 'int', id: 'uuid', token: 'uuid' })
/** The columns that a claim is judged by, in addition to the status. */
export const JUDGED_BY = ['attempts', 'claim_token', 'lease_until', 'parked_at', 'provider_pending_since'] as const

/**
 * Leases each payment to its claim for `leaseMs` milliseconds, unless its verdict is another one. A lease that ran out
 * counts as an attempt, and leaves a row in `payment_attempts`. One statement, which is a transaction by itself:
 * - It locks first and judges after. A condition in the locking select would be judged by the version before the lock, and
 *   call a payment free that another worker has just leased. So every row is locked, in any state.
 * - It locks in the order of the ids. Two batches that lock in different orders deadlock. The lateral look-up keeps the
 *   order of the sorted claims in every plan.
 * - Of several claims of one payment only one can succeed: the one that holds the payment already, else the first.
 * - It shortens no lease: the first attempt of a claim may be executed after its repetition.
 *
 * @param waits whether to wait for the locks of other sessions
 * @returns what became of each claim, in their order
 */
export async function claimPayments(
  db: Kysely<Tables>,
  claims: readonly NewClaim[],
  { leaseMs, attemptsMax, redriveAfterMs }: ClaimOptions,
  waits = true,
): Promise<Claim[]> {
  const rows = await (waits ? WAITING : SKIPPING_LOCKED)(db, {
    claims: ASKED.json(claims.map(({ id, token }, place) => ({ place, id, token }))),
    leaseMs,
    attemptsMax,
    redriveMaxMs: leaseMs + redriveAfterMs,
  })
  const made = new Map(rows.map((row) => [row.place, toClaim(row)]))
  return claims.map((_, place) => made.get(place) ?? { verdict: waits ? 'unknown' : 'locked' })
}

/** A claim of no payment, for which PostgreSQL checks all grants of a claim. */
export function claimNothing(db: Kysely<Tables>): Promise<Claim[]> {
  return claimPayments(db, [], { leaseMs: 0, attemptsMax: 0, redriveAfterMs: 0 })
}

// `sql` in this file: the builder has no intervals and no EXTRACT, and knows the columns of a `with` only in its statement.
/** The attempts of a payment, including the one of a lease that has expired. */
const ATTEMPTS_NOW = sql<number>`attempts + coalesce((claim_token <> token and lease_until <= now())::int, 0)`
/** Read here, so that the rest of the metadata, up to 100 kB of a payment, stays in the table. */
const SIMULATE = sql<string | null>`p.metadata ->> 'simulate'`
/** The rank of a claim among those of its payment, from 1. */
const TURN = sql<string>`row_number() over (partition by id order by claim_token = token desc nulls last, place)`

interface Values {
  claims: string
  leaseMs: number
  attemptsMax: number
  /** Time from now to the latest redrive that stays as it is. */
  redriveMaxMs: number
}

type Judgement = Exclude<Claim['verdict'], 'unknown' | 'locked'>

const statement = (waits: boolean) =>
  compiledOnce((db: Kysely<Tables>, parameter: ParameterOf<Values>) => {
    const verdict = sql<Judgement>`case
      when status <> 'PENDING' then 'settled'
      when parked_at is not null then 'parked'
      when claim_token = token then 'claimed'
      when lease_until > now() or turn > 1 then 'leased'
      when attempts_now >= ${parameter('attemptsMax')} then 'exhausted'
      else 'claimed'
    end`
    const leaseUntil = sql<Date>`now() + ${parameter('leaseMs')} * interval '1 millisecond'`
    const redriveMax = sql<Date>`now() + ${parameter('redriveMaxMs')} * interval '1 millisecond'`
    return db
      .with(
        (cte) => cte('locked').materialized(),
        (qb) =>
          qb
            .selectFrom(
              qb
                .selectFrom(ASKED.from(parameter('claims')))
                .selectAll()
                .orderBy('id')
                .as('asked'),
            )
            .crossJoinLateral((eb) =>
              eb
                .selectFrom('payments as p')
                .select([...PAYMENT_COLUMNS, ...JUDGED_BY, 'last_hash'])
                .select(SIMULATE.as('simulate'))
                .whereRef('p.id', '=', 'asked.id')
                .forUpdate()
                .$if(!waits, (locking) => locking.skipLocked())
                .as('p'),
            )
            .selectAll('p')
            .select(['asked.place', 'asked.token']),
      )
      .with('counted', (qb) =>
        qb
          .selectFrom('locked')
          .selectAll()
          .select([ATTEMPTS_NOW.as('attempts_now'), TURN.as('turn')]),
      )
      .with('judged', (qb) => qb.selectFrom('counted').selectAll().select(verdict.as('verdict')))
      .with('expired', () => expiredStep(db, 'judged'))
      .with('claimed', (qb) =>
        qb
          .updateTable('payments as p')
          // For an array of ids PostgreSQL reads all rows between the first and the last, which are near for ids in the
          // order of time, and compares each with the whole array. A join finds each row by the primary key.
          .from('judged as j')
          .whereRef('p.id', '=', 'j.id')
          .where('j.verdict', '=', sql.lit('claimed'))
          .set((eb) => ({
            claim_token: eb.ref('j.token'),
            attempts: eb.ref('j.attempts_now'),
            lease_until: sql<Date>`greatest(p.lease_until, ${leaseUntil})`,
            redrive_at: sql<Date>`case
              when p.redrive_at between ${leaseUntil} and ${redriveMax} then p.redrive_at
              else ${fromNow(parameter('redriveMaxMs'))}
            end`,
            redrives: sql.lit(0),
          })),
      )
      .selectFrom('judged')
      .select([...PAYMENT_COLUMNS, 'place', 'verdict', 'attempts_now'])
      .select(['provider_pending_since', 'simulate', 'last_hash'])
      .select(sql<number>`extract(epoch from lease_until - now())::float8 * 1000`.as('lease_left_ms'))
  })

const WAITING = statement(true)
const SKIPPING_LOCKED = statement(false)

function toClaim(row: Awaited<ReturnType<typeof WAITING>>[number]): Claim {
  switch (row.verdict) {
    case 'claimed': {
      const { attempts_now: attempts, provider_pending_since, simulate, last_hash: lastHash } = row
      return {
        verdict: 'claimed',
        payment: toPayment(row),
        attempts,
        pending: provider_pending_since !== null,
        lastHash,
        simulate,
      }
    }
    case 'settled':
      return { verdict: 'settled', status: row.status }
    case 'parked':
      return { verdict: 'parked' }
    case 'leased':
      return { verdict: 'leased', leaseLeftMs: Math.max(0, row.lease_left_ms) }
    case 'exhausted':
      return { verdict: 'exhausted', attempts: row.attempts_now }
    default:
      return row.verdict satisfies never
  }
}
