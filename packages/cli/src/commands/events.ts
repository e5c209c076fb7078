import { type SeenEvent, searchEvents } from '@cashflow/db/operator'
import { type Command, Option } from '@commander-js/extra-typings'
import { eventName, limitNumber, uuidOf } from '../arguments.ts'
import { examples } from '../help.ts'
import { showWithout } from '../left-out.ts'
import type { Act } from '../run-command.ts'
import type { Fields } from '../show.ts'

const ID = '0197f3c0-0000-7000-8000-0123456789ab'

export function addEventsCommand(program: Command, choose: (act: Act) => void): void {
  program
    .command('events')
    .description('print events, the newest first, or those of a payment, the oldest first')
    .addOption(
      new Option('--payment <id>', 'only those of this payment').argParser(uuidOf('payment')).conflicts('merchant'),
    )
    .option('--merchant <id>', 'only those of this merchant', uuidOf('merchant'))
    .option('--after <id>', 'id of the last event of the page before', eventName)
    .option('--limit <number>', 'events of a page, up to 1000', limitNumber, 50)
    .addHelpText('after', examples('events', `events --payment ${ID}`, `events --merchant ${ID} --limit 200 --json`))
    .action(({ payment, merchant, after, limit }) =>
      choose(async ({ db, json, show }) => {
        const result = await searchEvents(db, { paymentId: payment, merchantId: merchant, after, limit })
        if (!result.done) return result
        return await showWithout({ leftOut: result.leftOut, none: 'No events.' }, (none) =>
          show(result.events.map(json ? toFields : toColumns), { none }),
        )
      }),
    )
}

/** What fits into a line of a terminal. */
function toColumns(event: SeenEvent): Fields {
  const { created_at, id, type, actor, data } = toFields(event)
  return { created_at, id, type, actor, data }
}

function toFields({ paymentId, sequence, merchantId, type, data, actor, requestId, createdAt }: SeenEvent) {
  return {
    created_at: createdAt,
    id: `evt_${paymentId}_${sequence}`,
    type,
    merchant_id: merchantId,
    actor,
    request_id: requestId,
    data: data as Fields,
  }
}
