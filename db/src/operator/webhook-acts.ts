import { type Kysely, sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import type { Delivery, EventName } from '../webhooks/delivery.ts'
import { lockCursor } from '../webhooks/lock-cursor.ts'
import { type Redelivery, redeliverIn } from '../webhooks/redeliver.ts'
import { type EndpointCheck, type NewCheck, startCheckIn } from '../webhooks/start-check.ts'
import { type NewReplay, type Replay, type StartedReplay, startReplayIn } from '../webhooks/start-replay.ts'
import { changeEndpoint } from '../webhooks/update-endpoint.ts'
import { type Operator, recordAction } from './actions.ts'
import { type Done, orRefused, refused } from './done.ts'

export const NO_SUCH_ENDPOINT = 'No endpoint has this id, or it was deleted.'

interface Acting {
  readonly reason: string
  readonly by: Operator
}

/** Enables or disables an endpoint of any merchant. Refused if it is that already. */
export function switchEndpoint(
  db: Kysely<Tables>,
  { id, isEnabled, reason, by }: Acting & { id: string; isEnabled: boolean },
): Promise<Done> {
  const act = isEnabled ? 'enable' : 'disable'
  return orRefused(
    { act, on: `endpoint ${id}` },
    db.transaction().execute(async (tx): Promise<Done> => {
      const found = await findStored(tx, id)
      if (!found) return refused(NO_SUCH_ENDPOINT)
      if ((found.disabled_at === null) === isEnabled) return refused(already(found.disabled_reason))
      // Every change of an endpoint locks this first. Another one may have come before.
      await lockCursor(tx, found.merchant_id)
      const before = await findStored(tx, id)
      if (!before) return refused(NO_SUCH_ENDPOINT)
      if ((before.disabled_at === null) === isEnabled) return refused(already(before.disabled_reason))
      const after = await changeEndpoint(tx, { merchantId: before.merchant_id, id, isEnabled })
      if (!after) return refused(NO_SUCH_ENDPOINT)
      await recordAction(tx, by, {
        action: `webhooks ${act}`,
        target: id,
        reason,
        before: { disabled_at: before.disabled_at, disabled_reason: before.disabled_reason },
        after: {
          disabled_at: after.disabledAt,
          disabled_reason: after.disabledReason,
          missed_since: after.missedSince,
        },
      })
      return { done: true }
    }),
  )
}

const already = (disabledReason: string | null) =>
  disabledReason === null ? 'The endpoint is enabled already.' : `The endpoint is disabled already: ${disabledReason}.`

/** Makes the deliveries of an event due again, of all its endpoints or of one, as the merchant can. */
export function redeliverByHand(
  db: Kysely<Tables>,
  { reason, by, ...event }: Acting & Omit<Redelivery, 'merchantId'>,
): Promise<Done<{ deliveries: readonly Delivery[] }>> {
  const { paymentId, sequence, endpointId } = event
  return orRefused(
    { act: 'redeliver', on: `event ${sequence} of payment ${paymentId}` },
    db.transaction().execute(async (tx) => {
      const merchantId = await merchantOf(tx, event)
      const deliveries = merchantId === undefined ? undefined : await redeliverIn(tx, { ...event, merchantId })
      if (!deliveries) return refused('No event has this id.')
      if (deliveries.length === 0)
        return refused(
          'The event has no delivery to such an endpoint: it was pruned, or is older than the endpoint. Start a replay.',
        )
      await recordAction(tx, by, {
        action: 'webhooks redeliver',
        // So the payment's timeline shows it.
        target: paymentId,
        reason,
        before: { sequence, endpoint: endpointId ?? null },
        after: { deliveries: deliveries.map(({ id }) => id) },
      })
      return { done: true, deliveries }
    }),
  )
}

/** Starts to deliver past events to an endpoint of any merchant again, as the merchant can. */
export function replayByHand(
  db: Kysely<Tables>,
  { reason, by, ...replay }: Acting & Omit<NewReplay, 'merchantId'>,
): Promise<Done<{ replay: Replay }>> {
  const { endpointId, start } = replay
  return orRefused(
    { act: 'replay', on: `endpoint ${endpointId}` },
    db.transaction().execute(async (tx) => {
      const endpoint = await findStored(tx, endpointId)
      if (!endpoint) return refused(NO_SUCH_ENDPOINT)
      const started = await startReplayIn(tx, { ...replay, merchantId: endpoint.merchant_id })
      if (started.outcome !== 'started') return refused(whyNot(started.outcome))
      const { id, types } = started.replay
      await recordAction(tx, by, {
        action: 'webhooks replay',
        target: endpointId,
        reason,
        before: { missed_since: endpoint.missed_at },
        after: {
          ...{ replay: id, types, from: start.from },
          ...(start.from === 'time' && { time: start.time }),
          ...(start.from === 'event' && { event: `evt_${start.paymentId}_${start.sequence}` }),
        },
      })
      return { done: true, replay: started.replay }
    }),
  )
}

/** Starts a check or a ping of an endpoint of any merchant, as the merchant can. */
export function checkByHand(
  db: Kysely<Tables>,
  { reason, by, ...check }: Acting & Omit<NewCheck, 'merchantId'>,
): Promise<Done<{ check: EndpointCheck }>> {
  const { endpointId, kind } = check
  return orRefused(
    { act: kind, on: `endpoint ${endpointId}` },
    db.transaction().execute(async (tx) => {
      const endpoint = await findStored(tx, endpointId)
      if (!endpoint) return refused(NO_SUCH_ENDPOINT)
      const started = await startCheckIn(tx, { ...check, merchantId: endpoint.merchant_id })
      switch (started.outcome) {
        case 'unknown-endpoint':
          return refused(NO_SUCH_ENDPOINT)
        case 'too-soon':
          return refused(`An endpoint gets at most one ${kind} a minute.`)
      }
      const { id } = started.check
      await recordAction(tx, by, { action: `webhooks ${kind}`, target: endpointId, reason, after: { check: id } })
      return { done: true, check: started.check }
    }),
  )
}

function whyNot(outcome: Exclude<StartedReplay['outcome'], 'started'>): string {
  switch (outcome) {
    case 'unknown-endpoint':
      return NO_SUCH_ENDPOINT
    case 'unknown-event':
      return "No event of the endpoint's merchant has the id of --after."
    case 'disabled':
      return 'The endpoint is disabled. Enable it, and then start the replay.'
    case 'nothing-missed':
      return 'The endpoint has missed no event. Give --after with an event or a time.'
    case 'running':
      return 'A replay to this endpoint is not finished.'
    default:
      return outcome satisfies never
  }
}

/** An endpoint that is not deleted. It is not locked: each change locks its merchant's cursor first. */
async function findStored(tx: Transaction<Tables>, id: string) {
  return await tx
    .selectFrom('webhook_endpoints')
    .select(['merchant_id', 'disabled_at', 'disabled_reason', 'missed_at'])
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
}

async function merchantOf(
  tx: Transaction<Tables>,
  { paymentId, sequence }: Omit<EventName, 'merchantId'>,
): Promise<string | undefined> {
  const row = await tx
    .selectFrom('payment_events')
    .select('merchant_id')
    .where('payment_id', '=', paymentId)
    .where('sequence', '=', sequence)
    .limit(sql.lit(1))
    .executeTakeFirst()
  return row?.merchant_id
}
