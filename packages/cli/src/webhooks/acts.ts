import { redeliverByHand, replayByHand, switchEndpoint } from '@cashflow/db/operator'
import { EVENT_TYPES } from '@cashflow/domain'
import { uuidv7 } from '@cashflow/runtime'
import { type Command, InvalidArgumentError } from '@commander-js/extra-typings'
import { eventName, pastTime, reasonText, uuidOf } from '../arguments.ts'
import { examples } from '../help.ts'
import type { Act } from '../run-command.ts'
import { deliveryFields } from './deliveries.ts'

const ID = '0197f3c0-0000-7000-8000-0123456789ab'
const [REASON, REASON_TEXT] = ['--reason <text>', 'why, stored with the act'] as const

const REPLAY = `
Without --after it begins at the first event that the endpoint missed while it was disabled. It ends with the events that were
committed when it started. It also sends what was delivered before. New events go first.
`

/** @param webhooks the command `webhooks` */
export function addWebhookActs(webhooks: Command, choose: (act: Act) => void): void {
  for (const isEnabled of [true, false]) addSwitch(webhooks, choose, isEnabled)
  webhooks
    .command('redeliver')
    .description('send the webhooks of an event again, also those that were delivered')
    .argument('<event>', 'id of the event', eventName)
    .option(
      '--endpoint <id>',
      'only to this endpoint; without it to all that have a delivery of it',
      uuidOf('endpoint'),
    )
    .requiredOption(REASON, REASON_TEXT, reasonText)
    .addHelpText('after', examples(`webhooks redeliver evt_${ID}_2 --reason 'the shop has lost it'`))
    .action((event, { endpoint: endpointId, reason }) =>
      choose(async ({ db, json, show, ...by }) => {
        const result = await redeliverByHand(db, { ...event, endpointId, reason, by })
        if (!result.done) return result
        const fields = result.deliveries.map(deliveryFields)
        await show(json ? fields : fields.map(({ id, endpoint_id, status }) => ({ id, endpoint_id, status })))
        return result
      }),
    )
  webhooks
    .command('replay')
    .description('send past events to an endpoint again, in the background')
    .argument('<endpoint>', 'id of the endpoint, as list prints it', uuidOf('endpoint'))
    .option('--after <time or event>', 'begin at this time, such as 2026-11-30T12:00:00Z, or after this event', start)
    .option('--types <list>', 'only events of these types, separated by commas', typeList)
    .requiredOption(REASON, REASON_TEXT, reasonText)
    .addHelpText(
      'after',
      REPLAY +
        examples(
          `webhooks replay ${ID} --reason 'the shop was away'`,
          `webhooks replay ${ID} --after evt_${ID}_2 --types payment.failed --reason 'asked by phone'`,
        ),
    )
    .action((endpointId, { after = { from: 'missed' } as const, types, reason }) =>
      choose(async ({ db, show, ...by }) => {
        const replay = { endpointId, id: uuidv7(), start: after, types, reason, by }
        const result = await replayByHand(db, replay)
        if (!result.done) return result
        const { id, types: ofTypes, createdAt } = result.replay
        await show({ id, endpoint_id: endpointId, types: ofTypes, created_at: createdAt })
        return result
      }),
    )
}

function addSwitch(webhooks: Command, choose: (act: Act) => void, isEnabled: boolean): void {
  const name = isEnabled ? 'enable' : 'disable'
  webhooks
    .command(name)
    .description(
      isEnabled
        ? 'send webhooks to an endpoint again; what it missed needs a replay'
        : 'send nothing to an endpoint until it is enabled; its deliveries are kept',
    )
    .argument('<endpoint>', 'id of the endpoint, as list prints it', uuidOf('endpoint'))
    .requiredOption(REASON, REASON_TEXT, reasonText)
    .addHelpText('after', examples(`webhooks ${name} ${ID} --reason 'asked by the merchant'`))
    .action((id, { reason }) =>
      choose(async ({ db, show, ...by }) => {
        const result = await switchEndpoint(db, { id, isEnabled, reason, by })
        if (result.done) await show({ id, state: `${name}d` })
        return result
      }),
    )
}

const start = (text: string) =>
  text.startsWith('evt_')
    ? ({ from: 'event', ...eventName(text) } as const)
    : ({ from: 'time', time: pastTime(text) } as const)

function typeList(text: string): readonly string[] {
  const types = [...new Set(text.split(',').map((type) => type.trim()))]
  if (types.some((type) => !EVENT_TYPES.includes(type)))
    throw new InvalidArgumentError(`Types are ${EVENT_TYPES.join(', ')}.`)
  return types
}
