import type { Done } from '@cashflow/db'
import { type FoundByName, findById, findByReference, type NamedPayment, readTimeline } from '@cashflow/db/operator'
import { isUuid, readReference } from '@cashflow/domain'
import { jsonLine } from '@cashflow/runtime'
import { type Command, InvalidArgumentError } from '@commander-js/extra-typings'
import { uuidOf } from '../arguments.ts'
import { examples } from '../help.ts'
import { amountText, timelineJson, timelineLines } from '../payment-timeline.ts'
import { type Act, type Context, noteFound, print } from '../run-command.ts'
import type { Fields } from '../show.ts'

const LISTED_MAX = 100

/** @param payments the command `payments` */
export function addPaymentShowCommand(payments: Command, choose: (act: Act) => void): void {
  payments
    .command('show')
    .description('print all that is stored about a payment, in the order of time, and what it waits for')
    .argument('<id or reference>', "the payment's id, or its merchant's name for it", idOrReference)
    .option('--merchant <id>', 'id of the merchant, where several have the reference', uuidOf('merchant'))
    .addHelpText(
      'after',
      examples(
        'payments show 01a22469-2905-7def-82dc-40ec53ec6360',
        'payments show REF-001',
        'payments show REF-001 --merchant 01a22819-1750-738c-94b7-7987cfb3e8fd --json',
      ),
    )
    .action((name, { merchant }) => choose((context) => showPayment(context, name, merchant)))
}

function idOrReference(text: string): string {
  const reference = readReference(text)
  if (!reference.ok) throw new InvalidArgumentError(`A reference ${reference.refusal.detail}.`)
  return text
}

async function showPayment(context: Context, name: string, merchantId: string | undefined): Promise<Done> {
  const search = await find(context, name, merchantId)
  if (!search.done) return search
  const [found, ...others] = search.payments
  if (!found) return { done: false, why: 'No payment has this id or reference.' }
  if (others.length > 0) {
    noteFound()
    await context.show([found, ...others].map(fieldsOf))
    return { done: false, why: 'Several merchants have a payment with this reference. Choose one with --merchant.' }
  }
  const timeline = found.status === null ? undefined : await readTimeline(context.db, found.id)
  if (!timeline) {
    await context.show(fieldsOf(found))
    return { done: true }
  }
  await print(context.json ? jsonLine(timelineJson(found, timeline)) : timelineLines(found, timeline).join('\n'))
  return { done: true }
}

/** A UUID is an id. It may be a reference as well, of a payment with another id. */
async function find({ db }: Context, name: string, merchantId: string | undefined): Promise<FoundByName> {
  const byId = isUuid(name) ? await findById(db, name.toLowerCase()) : undefined
  if (byId && (merchantId === undefined || byId.merchantId === merchantId)) return { done: true, payments: [byId] }
  return await findByReference(db, { reference: name, merchantId, limit: LISTED_MAX })
}

function fieldsOf(payment: NamedPayment): Fields {
  const { id, merchantId, merchant, reference, status, createdAt, prunedAt } = payment
  return {
    id,
    merchant_id: merchantId,
    merchant,
    reference,
    amount: amountText(payment),
    status: status ?? 'pruned',
    created_at: createdAt,
    ...(prunedAt && { pruned_at: prunedAt }),
  }
}
