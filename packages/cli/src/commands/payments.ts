import { merchantNames, searchPayments } from '@cashflow/db/operator'
import { formatMoney, isKnownCurrency } from '@cashflow/domain'
import { type Command, Option } from '@commander-js/extra-typings'
import { durationMs, limitNumber, uuidOf } from '../arguments.ts'
import { examples } from '../help.ts'
import { showWithout } from '../left-out.ts'
import type { Act } from '../run-command.ts'
import type { Fields } from '../show.ts'
import { addPaymentShowCommand } from './payment-show.ts'
import { addSettleCommand } from './settle.ts'

const STATUSES = ['PENDING', 'SUCCESS', 'FAILED'] as const
const WAITING_FORS = ['queue', 'provider', 'worker', 'retry', 'pending', 'operator'] as const
const OVER_MAX_DAYS = 3_650

const HELP = `
PENDING payments come in the order of their redrives, so those that wait longest come first; others come newest first. If there
are more, standard error has the --after of the next page.
`

export function addPaymentCommands(program: Command, choose: (act: Act) => void): void {
  const payments = program.command('payments').description('payments: find, list and settle them')
  payments
    .command('list')
    .description('print payments of all merchants')
    .addOption(new Option('--status <status>', 'only those of this status').choices(STATUSES))
    .option('--merchant <id>', 'only those of this merchant', uuidOf('merchant'))
    .addOption(new Option('--waiting-for <what>', 'only PENDING ones that wait for this').choices(WAITING_FORS))
    .option(
      '--over <duration>',
      'only those created so long ago or earlier, such as 10m',
      durationMs({ minMs: 0, maxMs: OVER_MAX_DAYS * 86_400_000 }),
    )
    .option('--after <id>', 'the place at which the page before has ended', uuidOf('payment'))
    .option('--limit <number>', 'payments of a page, up to 1000', limitNumber, 50)
    .addHelpText(
      'after',
      HELP + examples('payments list --status PENDING --over 10m', 'payments list --waiting-for operator --json'),
    )
    .action(({ merchant: merchantId, over: olderThanMs, ...search }) =>
      choose(async ({ db, json, show }) => {
        const result = await searchPayments(db, { ...search, merchantId, olderThanMs })
        if (!result.done) return result
        const names = await merchantNames(db, [...new Set(result.payments.map((payment) => payment.merchantId))])
        const fields = result.payments.map((payment) => toFields(payment, names.get(payment.merchantId) ?? null))
        return await showWithout({ leftOut: result.leftOut, none: 'No payments.' }, async (none) => {
          // A page that shows none may not be the last one.
          await show(json ? fields : fields.map(toColumns), { none: result.next === undefined ? none : undefined })
          if (result.next !== undefined) process.stderr.write(`More: --after ${result.next}\n`)
        })
      }),
    )
  addPaymentShowCommand(payments, choose)
  addSettleCommand(payments, choose, 'payments settle')
}

type Found = Extract<Awaited<ReturnType<typeof searchPayments>>, { done: true }>['payments'][number]

/** What fits into a line of a terminal. */
function toColumns(fields: ReturnType<typeof toFields>): Fields {
  const { id, merchant_id, merchant, reference, amount, currency, status, waiting_for, created_at } = fields
  return { id, merchant: merchant ?? merchant_id, reference, amount, currency, status, waiting_for, created_at }
}

/** @param merchant the merchant's name. Null if its row is missing. */
function toFields(payment: Found, merchant: string | null) {
  return {
    id: payment.id,
    merchant_id: payment.merchantId,
    merchant,
    reference: payment.reference,
    // A newer version may have stored a currency that this one does not know.
    amount: isKnownCurrency(payment.currency) ? formatMoney(payment) : null,
    amount_minor: payment.amountMinor.toString(),
    currency: payment.currency,
    status: payment.status,
    failure_code: payment.failureCode,
    waiting_for: payment.waiting?.for ?? null,
    next_action_at: payment.waiting?.nextActionAt ?? null,
    created_at: payment.createdAt,
    settled_at: payment.settledAt,
  }
}
