import { useSignal } from '@preact/signals'
import type { DeliveryAnswer } from '../../answers.ts'
import { Link } from '../parts/link.tsx'
import { Pill } from '../parts/pill.tsx'
import { Chosen } from '../parts/text.tsx'
import { Ago } from '../parts/time.tsx'
import { mayOperate } from '../session.ts'
import { countText } from '../text/digits.ts'
import { Attempts } from './attempts.tsx'

export const DELIVERY_NAMES = {
  pending: 'Pending',
  waiting: 'Waiting',
  succeeded: 'Succeeded',
  expired: 'Expired',
} as const

const TONES = { pending: 'busy', waiting: 'warn', succeeded: 'ok', expired: 'bad' } as const

interface DeliveriesTableProps {
  readonly deliveries: readonly DeliveryAnswer[]
  readonly redeliver: (delivery: DeliveryAnswer) => void
}

export function DeliveriesTable({ deliveries, redeliver }: DeliveriesTableProps) {
  return (
    <table class="list deliveries">
      <caption class="visually-hidden">Deliveries to the endpoint, the newest first</caption>
      <thead>
        <tr>
          <th scope="col">Event</th>
          <th scope="col">Status</th>
          <th scope="col">Last answer</th>
          <th scope="col" class="number">
            Failures
          </th>
          <th scope="col" class="number">
            Created
          </th>
          <td />
        </tr>
      </thead>
      <tbody>
        {deliveries.map((delivery) => (
          <Row key={delivery.id} delivery={delivery} redeliver={() => redeliver(delivery)} />
        ))}
      </tbody>
    </table>
  )
}

interface RowProps {
  readonly delivery: DeliveryAnswer
  readonly redeliver: () => void
}

function Row({ delivery, redeliver }: RowProps) {
  const isOpen = useSignal(false)
  const { id, event_type, payment_id, status, replay, attempts, last_attempt_at, next_attempt_at, created_at } =
    delivery
  return (
    <>
      <tr>
        <th scope="row" class="cut main-cell">
          <Chosen text={event_type} />
          <span class="below cut">
            <Link href={`/payments/${payment_id}`}>{payment_id}</Link>
            {replay && ', replayed'}
          </span>
        </th>
        <td>
          <Pill tone={TONES[status]}>{DELIVERY_NAMES[status]}</Pill>
          {next_attempt_at !== null && status !== 'succeeded' && status !== 'expired' && (
            <span class="below">
              due <Ago at={next_attempt_at} />
            </span>
          )}
        </td>
        <td class="cut answer-cell">
          <LastAnswer delivery={delivery} />
          {last_attempt_at !== null && (
            <span class="below">
              <Ago at={last_attempt_at} />
            </span>
          )}
        </td>
        <td class="number">
          {countText(attempts)}
          <span class="narrow-only"> failed</span>
        </td>
        <td class="number">
          <span class="narrow-only">Created </span>
          <Ago at={created_at} />
        </td>
        <td class="acts-cell">
          <button
            type="button"
            class="small"
            aria-expanded={isOpen.value}
            aria-label={`Attempts of delivery ${id}`}
            onClick={() => {
              isOpen.value = !isOpen.value
            }}
          >
            Attempts
          </button>
          {mayOperate() && (
            <button type="button" class="small" aria-label={`Redeliver… delivery ${id}`} onClick={redeliver}>
              Redeliver…
            </button>
          )}
        </td>
      </tr>
      {isOpen.value && (
        <tr class="attempts-row">
          <td colSpan={6}>
            <Attempts delivery={delivery} />
          </td>
        </tr>
      )}
    </>
  )
}

function LastAnswer({ delivery: { last_status, last_error } }: { readonly delivery: DeliveryAnswer }) {
  if (last_error === null) return last_status ?? <span class="muted">–</span>
  return (
    <span class="for-operator">
      <Chosen text={last_error} />
    </span>
  )
}
