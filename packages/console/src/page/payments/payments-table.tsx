import type { PaymentAnswer, WaitingFor } from '../../answers.ts'
import { Link } from '../parts/link.tsx'
import { StatusPill, WAITS } from '../parts/pill.tsx'
import { Chosen } from '../parts/text.tsx'
import { Ago } from '../parts/time.tsx'
import { groupDigits } from '../text/digits.ts'

export function PaymentsTable({ payments }: { readonly payments: readonly PaymentAnswer[] }) {
  return (
    <table class="list payments">
      <caption class="visually-hidden">Payments, the newest first</caption>
      <thead>
        <tr>
          <th scope="col">Reference</th>
          <th scope="col" class="number">
            Amount
          </th>
          <th scope="col">Status</th>
          <th scope="col">Details</th>
          <th scope="col">Merchant</th>
          <th scope="col" class="number">
            Created
          </th>
        </tr>
      </thead>
      <tbody>
        {payments.map((payment) => (
          <Row key={payment.id} payment={payment} />
        ))}
      </tbody>
    </table>
  )
}

function Row({ payment }: { readonly payment: PaymentAnswer }) {
  const { id, reference, merchant, merchant_id, status, created_at } = payment
  return (
    <tr>
      <th scope="row" data-label="Reference" class="cut main-cell">
        <Link href={`/payments/${id}`}>
          <Chosen text={reference} />
        </Link>
      </th>
      <td data-label="Amount" class="number amount">
        <Amount payment={payment} />
      </td>
      <td data-label="Status">
        <StatusPill status={status} />
      </td>
      <td data-label="Details" class="cut">
        <Details payment={payment} />
      </td>
      <td data-label="Merchant" class="cut">
        <Chosen text={merchant ?? merchant_id} />
      </td>
      <td data-label="Created" class="number">
        {created_at === null ? '–' : <Ago at={created_at} />}
      </td>
    </tr>
  )
}

export function Amount({ payment: { amount, currency } }: { readonly payment: PaymentAnswer }) {
  return (
    <>
      {groupDigits(amount)} <span class="currency">{currency}</span>
    </>
  )
}

/** States whose next action is an attempt. In the others, it is a redrive, if nothing else happens until then. */
const HAS_ATTEMPT: readonly WaitingFor[] = ['retry', 'pending']

/** Why a payment failed, or what it waits for. */
function Details({ payment: { failure_code, waiting_for, next_action_at } }: { readonly payment: PaymentAnswer }) {
  if (failure_code !== null) return <Chosen text={failure_code} />
  if (waiting_for === null) return <span class="muted">–</span>
  return (
    <span title={WAITS[waiting_for].meaning} class={waiting_for === 'operator' ? 'for-operator' : undefined}>
      Waits for {WAITS[waiting_for].phrase}
      {HAS_ATTEMPT.includes(waiting_for) && next_action_at !== null && (
        <>
          , <Ago at={next_action_at} />
        </>
      )}
    </span>
  )
}
