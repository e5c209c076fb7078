import { discard, requeue, settleByHand } from '@cashflow/db'
import { isUuid, type Outcome } from '@cashflow/domain'
import { listDeadLetters } from '@cashflow/outbox'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Act, print } from './run-command.ts'

const LIST_MAX = 1_000

const DEAD_HELP = `
In a checkout: npm run dead -- list. With Compose: docker compose run --rm migrate dead list`

const SETTLE_HELP = `
Give exactly one of --success and --failed. A payment that is settled, or that a worker is processing, is refused.

In a checkout: npm run settle -- <payment id> … With Compose: docker compose run --rm migrate settle <payment id> …`

/**
 * Adds the commands of `cashflow` to a parser. They inherit its settings.
 *
 * @param choose called with the act that the arguments name
 */
export function addCommands(program: Command, choose: (act: Act) => void): void {
  program.name('cashflow').description("Cashflow's command for operators").showHelpAfterError()
  const dead = program.command('dead').description('dead letters: payments and messages that need an operator')
  dead.addHelpText('afterAll', DEAD_HELP)
  dead
    .command('list')
    .description('print unresolved dead letters, the oldest first, one JSON object a line')
    .action(() => choose(list))
  dead
    .command('requeue')
    .description('resolve a dead letter, and send its payment or its message through the pipeline again')
    .argument('<id>', 'id of the dead letter, as list prints it', deadLetterId)
    .action((id: string) => choose((db) => requeue(db, id)))
  dead
    .command('discard')
    .description('resolve a dead letter, and do nothing else')
    .argument('<id>', 'id of the dead letter, as list prints it', deadLetterId)
    .requiredOption('--reason <text>', 'why, stored with the dead letter', reasonText)
    .action((id: string, { reason }: { reason: string }) => choose((db) => discard(db, id, reason)))
  program
    .command('settle')
    .description('settle a PENDING payment with the outcome that you know')
    .argument('<payment id>', 'id of the payment', paymentId)
    .addOption(new Option('--success', 'the status becomes SUCCESS').conflicts(['failed', 'failureCode']))
    .addOption(new Option('--failed', 'the status becomes FAILED'))
    .requiredOption('--reason <text>', "why, stored in the payment's history", reasonText)
    .addOption(
      new Option('--failure-code <code>', 'lower case letters, digits and _ (default: settled_by_operator)').argParser(
        failureCode,
      ),
    )
    .addHelpText('after', SETTLE_HELP)
    .action((id: string, options: SettleOptions, command: Command) => {
      if (!options.success && !options.failed) command.error('error: give --success or --failed')
      choose((db) => settleByHand(db, { paymentId: id, outcome: outcomeOf(options), reason: options.reason }))
    })
}

const list: Act = async (db) => {
  for (const { resolution, diedAt, ...letter } of await listDeadLetters(db, { limit: LIST_MAX }))
    await print(JSON.stringify({ ...letter, died_at: diedAt }))
  return { done: true }
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

function deadLetterId(text: string): string {
  if (!/^[1-9]\d{0,17}$/.test(text)) throw new InvalidArgumentError('The id is a number, as list prints it.')
  return text
}

function paymentId(text: string): string {
  if (!isUuid(text)) throw new InvalidArgumentError('The id of a payment is a UUID.')
  return text
}

function reasonText(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('The reason is empty.')
  return text.trim()
}

function failureCode(text: string): string {
  if (!/^[a-z0-9_]{1,64}$/.test(text))
    throw new InvalidArgumentError('A failure code has 1 to 64 characters of a-z, 0-9 and _.')
  return text
}
