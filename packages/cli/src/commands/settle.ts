import { settleByHand } from '@cashflow/db/operator'
import { CANCELED, type Outcome } from '@cashflow/domain'
import { type Command, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import { reasonText, uuidOf } from '../arguments.ts'
import { examples } from '../help.ts'
import type { Act } from '../run-command.ts'

const HELP = `
Give exactly one of --success and --failed. A payment that is settled, or that a worker is processing, is refused.

Short forms: npm run settle -- <payment id> … and docker compose run --rm migrate settle <payment id> …
`

/** @param name the whole name: `payments settle`, or the short form `settle` */
export function addSettleCommand(parent: Command, choose: (act: Act) => void, name: string): void {
  parent
    .command('settle')
    .description('settle a PENDING payment with the outcome that you know')
    .argument('<payment id>', 'id of the payment', uuidOf('payment'))
    .addOption(new Option('--success', 'the status becomes SUCCESS').conflicts(['failed', 'failureCode']))
    .addOption(new Option('--failed', 'the status becomes FAILED'))
    .requiredOption('--reason <text>', "why, stored in the payment's history", reasonText)
    .addOption(
      new Option('--failure-code <code>', 'lower case letters, digits and _ (default: settled_by_operator)').argParser(
        failureCode,
      ),
    )
    .addHelpText(
      'after',
      HELP +
        examples(
          `${name} 0197f3c0-0000-7000-8000-0123456789ab --success --reason 'the bank confirmed it'`,
          `${name} 0197f3c0-0000-7000-8000-0123456789ab --failed --failure-code card_declined --reason 'refused, says the bank'`,
        ),
    )
    .action((id, options, command) => {
      if (!options.success && !options.failed) command.error('error: give --success or --failed')
      choose(async ({ db, show, ...by }) => {
        const { reason } = options
        const result = await settleByHand(db, { paymentId: id, outcome: outcomeOf(options), reason, by })
        if (result.done) await show({ id, status: options.success ? 'SUCCESS' : 'FAILED' })
        return result
      })
    })
}

interface SettleOptions {
  success?: true
  failed?: true
  reason: string
  failureCode?: string
}

function outcomeOf({ success, failureCode = 'settled_by_operator' }: SettleOptions): Outcome {
  return success ? { outcome: 'approved' } : { outcome: 'declined', failureCode }
}

function failureCode(text: string): string {
  if (!/^[a-z0-9_]{1,64}$/.test(text))
    throw new InvalidArgumentError('A failure code has 1 to 64 characters of a-z, 0-9 and _.')
  if (text === CANCELED) throw new InvalidArgumentError('Only a payment that its client canceled has this code.')
  return text
}
