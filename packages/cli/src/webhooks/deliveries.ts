import type { Delivery } from '@cashflow/db'
import { searchDeliveries } from '@cashflow/db/operator'
import { eventId } from '@cashflow/domain'
import { type Command, Option } from '@commander-js/extra-typings'
import { eventName, limitNumber, numberedId, uuidOf } from '../arguments.ts'
import { examples } from '../help.ts'
import { showWithout } from '../left-out.ts'
import type { Act } from '../run-command.ts'
import { clipped, type Fields } from '../show.ts'

const STATUSES = ['pending', 'waiting', 'succeeded', 'expired'] as const
const ID = '0197f3c0-0000-7000-8000-0123456789ab'

/** @param webhooks the command `webhooks` */
export function addDeliveriesCommand(webhooks: Command, choose: (act: Act) => void): void {
  webhooks
    .command('deliveries')
    .description('print deliveries of events to endpoints, the newest first')
    .option('--endpoint <id>', 'only those to this endpoint', uuidOf('endpoint'))
    .addOption(new Option('--status <status>', 'only those of this status').choices(STATUSES))
    .addOption(new Option('--event <id>', 'only those of this event').argParser(eventName).conflicts('payment'))
    .option('--payment <id>', 'only those of the events of this payment', uuidOf('payment'))
    .option('--after <id>', 'id of the last delivery of the page before', numberedId('a delivery'))
    .option('--limit <number>', 'deliveries of a page, up to 1000', limitNumber, 50)
    .addHelpText(
      'after',
      examples(
        'webhooks deliveries --status expired',
        `webhooks deliveries --endpoint ${ID} --status pending`,
        `webhooks deliveries --event evt_${ID}_2 --json`,
      ),
    )
    .action(({ endpoint: endpointId, payment, event, limit, ...search }) =>
      choose(async ({ db, json, show }) => {
        const named = { paymentId: event?.paymentId ?? payment, sequence: event?.sequence }
        const { deliveries, leftOut } = await searchDeliveries(db, {
          ...search,
          ...named,
          endpointId,
          limit: limit + 1,
        })
        const shown = deliveries.slice(0, limit)
        return await showWithout({ leftOut, none: 'No deliveries.' }, async (none) => {
          await show(shown.map(json ? deliveryFields : toColumns), { none })
          if (deliveries.length > limit) process.stderr.write(`More: --after ${shown.at(-1)?.id}\n`)
        })
      }),
    )
}

/** What fits into a line of a terminal. */
function toColumns(delivery: Delivery): Fields {
  const { id, endpoint_id, event_id, status, attempts, next_attempt_at, last_status, last_error } =
    deliveryFields(delivery)
  const answer = last_status === null ? last_error && clipped(last_error) : `HTTP ${last_status}`
  return { id, event_id, endpoint_id, status, attempts, next_attempt_at, last_answer: answer }
}

/** All that the API shows of a delivery. */
export function deliveryFields(delivery: Delivery) {
  return {
    id: delivery.id,
    endpoint_id: delivery.endpointId,
    event_id: eventId(delivery.paymentId, delivery.sequence),
    event_type: delivery.type,
    payment_id: delivery.paymentId,
    sequence: delivery.sequence,
    status: delivery.status,
    attempts: delivery.attempts,
    replay: delivery.isReplay,
    next_attempt_at: delivery.nextAttemptAt,
    last_attempt_at: delivery.lastAttemptAt,
    last_status: delivery.lastStatus,
    last_error: delivery.lastError,
    created_at: delivery.createdAt,
    finished_at: delivery.finishedAt,
  }
}
