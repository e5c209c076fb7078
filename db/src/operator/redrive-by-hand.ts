import { findUnresolvedDeadLetter } from '@cashflow/outbox'
import { type Kysely, type Selectable, sql, type Transaction } from 'kysely'
import { readPauses } from '../pauses/pauses.ts'
import { WAITING_FOR } from '../payments/view.ts'
import type { PaymentsTable, Tables } from '../tables.ts'
import { type NewAction, type Operator, recordAction } from './actions.ts'
import { type Done, orRefused, refused } from './done.ts'

export interface Redriving {
  readonly by: Operator
  readonly reason?: string | undefined
}

/**
 * Makes the redrive of a PENDING payment due now: a worker appends a message for it. A payment that waits for its next
 * attempt may be claimed now too. Refused for a payment that is settled or parked, or that a worker holds, and during a pause.
 */
export function redrivePayment(db: Kysely<Tables>, id: string, { by, reason }: Redriving): Promise<Done> {
  return orRefused(
    { act: 'redrive', on: `payment ${id}` },
    db.transaction().execute(async (tx): Promise<Done> => {
      const paused = await refusedByPause(tx)
      if (paused !== undefined) return refused(paused)
      const row = await tx
        .selectFrom('payments')
        .select([...REDRIVE, 'status', WAITING_FOR.as('waiting_for')])
        .where('id', '=', id)
        .forUpdate()
        .executeTakeFirst()
      if (!row) return refused('No payment has this id.')
      switch (row.waiting_for) {
        case null:
          return refused(`The payment is ${row.status} already.`)
        case 'operator':
          return refused(await refusedAsParked(tx, id))
        case 'provider':
          return refused(`A worker is processing the payment. Its lease ends at ${row.lease_until?.toISOString()}.`)
      }
      await redriveLocked(tx, [row], { by, reason })
      return { done: true }
    }),
  )
}

async function refusedAsParked(tx: Transaction<Tables>, id: string): Promise<string> {
  const letter = await findUnresolvedDeadLetter(tx, { source: 'worker', key: id })
  return `The payment is parked. Requeue its dead letter${letter ? ` ${letter}` : ''}, or settle it.`
}

/** What is recorded of a payment before its redrive, and its lease. */
export const REDRIVE = ['id', 'redrive_at', 'redrives', 'attempts', 'lease_until'] as const
export type Redrive = Pick<Selectable<PaymentsTable>, (typeof REDRIVE)[number]>

/** Makes the redrive of locked payments due now. */
export async function redriveLocked(
  tx: Transaction<Tables>,
  rows: readonly Redrive[],
  { by, reason }: Redriving,
): Promise<void> {
  if (rows.length === 0) return
  await tx
    .updateTable('payments')
    .set(({ fn, lit }) => ({
      // The time of each row differs by microseconds, so that the reconciler can search past an unreadable row.
      redrive_at: fn<Date>('clock_timestamp'),
      redrives: lit(0),
      lease_until: sql<Date | null>`case when lease_until > now() then now() else lease_until end`, // The builder's CASE reads worse.
    }))
    .where('id', '=', sql<string>`any(${rows.map(({ id }) => id)}::uuid[])`)
    .execute()
  const actions = rows.map(
    ({ id, redrive_at, redrives, attempts }): NewAction => ({
      action: 'redrive',
      target: id,
      reason,
      before: { redrive_at, redrives, attempts },
    }),
  )
  await recordAction(tx, by, ...actions)
}

/** Why nothing is redriven: a pause is in force. The message would wait, and a redrive now would only bring a second one. */
export async function refusedByPause(tx: Transaction<Tables>): Promise<string | undefined> {
  const pause = (await readPauses(tx)).find(({ isInForce }) => isInForce)
  if (!pause) return undefined
  const { component, pausedBy, until, reason } = pause
  const end = until ? `until ${until.toISOString()}` : 'without an end'
  return `${component} is paused by ${pausedBy} ${end}: ${reason}. Nothing is redriven during a pause. Resume it first.`
}
