import type { Payment, PaymentStatus } from '@cashflow/domain'
import { appendStep, compiledOnce, messagesJson, type NewMessage, type ParameterOf } from '@cashflow/outbox'
import { sql, type Transaction } from 'kysely'
import { EVENT, EVENT_COLUMNS, type EventInsert, eventOf, recordStep } from '../events/record.ts'
import { ALONE } from '../postgres/group-commit.ts'
import { byteaText, isAmong, recordSet } from '../statement.ts'
import type { Tables } from '../tables.ts'

/** A settled payment, to be stored if its claim still holds it. */
export interface SettlementWrite extends EventInsert {
  /** The payment with its new status. */
  readonly payment: Payment
  /** The token of the claim. */
  readonly token: string
  /** The payment's `last_hash`, as it was claimed or locked. */
  readonly previousHash: Buffer | null
  readonly messages: readonly NewMessage[]
}

const GIVEN = recordSet('given', {
  place: 'int',
  id: 'uuid',
  token: 'uuid',
  new_status: 'text',
  failure_code: 'text',
  settled_at: 'timestamptz',
  message_ids: 'uuid[]',
  previous_hash: 'bytea',
  ...EVENT,
})

/**
 * Locks payments, and settles those that are PENDING and held by their claims: status, event and outbox messages, in one
 * statement. A claim that does not hold its payment is fenced: nothing is written for it. An event whose predecessor is
 * not the one that its hash was made for is stored without a hash: the settlement matters more, and `verify` finds it.
 *
 * @param waits whether to wait for the locks of other sessions
 * @returns for each, in their order, the status that its claim has given it, now or in an earlier attempt: a payment keeps
 * the token that settled it. Undefined where the claim does not hold the payment. `ALONE` where another session has locked
 * it and `waits` is false
 */
export async function settlePayments(
  tx: Transaction<Tables>,
  settlements: readonly SettlementWrite[],
  waits = true,
): Promise<(PaymentStatus | typeof ALONE | undefined)[]> {
  const rows = await (waits ? WAITING : SKIPPING_LOCKED)(tx, {
    settlements: GIVEN.json(settlements.map(toRow)),
    messages: messagesJson(settlements.flatMap(({ messages }) => messages)),
  })
  const found = new Map(rows.map((row) => [row.place, row]))
  return settlements.map(({ payment }, place) => {
    const before = found.get(place)
    if (!before && !waits) return ALONE
    if (!before?.is_held) return undefined
    if (before.status !== 'PENDING') return before.status
    return before.is_settled ? payment.status : undefined
  })
}

interface Values {
  settlements: string
  messages: string
}

/** Locks all payments, in the order of their ids, and judges them as they were locked: see `claimPayments`. */
const statement = (waits: boolean) =>
  compiledOnce((tx: Transaction<Tables>, parameter: ParameterOf<Values>) =>
    tx
      .with(
        (cte) => cte('settling').materialized(),
        (qb) =>
          qb
            .selectFrom(
              qb
                .selectFrom(GIVEN.from(parameter('settlements')))
                .selectAll()
                .orderBy('id')
                .as('given'),
            )
            .crossJoinLateral((eb) =>
              eb
                .selectFrom('payments as p')
                .select(['p.merchant_id', 'p.status', 'p.claim_token', 'p.last_hash'])
                .whereRef('p.id', '=', 'given.id')
                .forUpdate()
                .$if(!waits, (locking) => locking.skipLocked())
                .as('p'),
            )
            .selectAll(),
      )
      .with('settled', (qb) =>
        qb
          .updateTable('payments as p')
          .from('settling as s')
          .set((eb) => ({
            status: eb.ref('s.new_status').$castTo<PaymentStatus>(),
            failure_code: eb.ref('s.failure_code'),
            settled_at: eb.ref('s.settled_at'),
            lease_until: eb.lit(null),
            redrive_at: eb.lit(null),
            last_hash: sql<Buffer | null>`case when s.last_hash = s.previous_hash then s.hash end`, // The builder's CASE reads worse.
          }))
          .whereRef('p.id', '=', 's.id')
          .whereRef('s.claim_token', '=', 's.token')
          .where('s.status', '=', sql.lit('PENDING'))
          .returning(['s.id', 's.merchant_id', 's.place', 's.message_ids'])
          .returning(EVENT_COLUMNS.filter((column) => column !== 'hash').map((column) => `s.${column}` as const))
          .returning('p.last_hash as hash'),
      )
      .with('recorded', () => recordStep(tx, 'settled'))
      .with('appended', (qb) =>
        appendStep(tx, parameter('messages'), (message) =>
          isAmong(
            message.ref('message_id'),
            qb.selectFrom('settled').select((eb) => eb.fn<string>('unnest', ['message_ids']).as('message_id')),
          ),
        ),
      )
      .selectFrom('settling')
      .select((eb) => [
        'place',
        'status',
        eb('claim_token', '=', eb.ref('token')).as('is_held'),
        eb('place', 'in', eb.selectFrom('settled').select('place')).as('is_settled'),
      ]),
  )

const WAITING = statement(true)
const SKIPPING_LOCKED = statement(false)

function toRow(settlement: SettlementWrite, place: number) {
  const { payment, token, messages, previousHash } = settlement
  return {
    place,
    id: payment.id,
    token,
    new_status: payment.status,
    failure_code: payment.failureCode,
    settled_at: payment.settledAt,
    message_ids: messages.map(({ messageId }) => messageId),
    previous_hash: previousHash && byteaText(previousHash),
    ...eventOf(settlement),
  }
}
