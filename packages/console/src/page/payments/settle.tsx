import { useSignal } from '@preact/signals'
import type { PaymentAnswer, SettleBody } from '../../answers.ts'
import { post } from '../api.ts'
import { ActDialog } from '../parts/dialog.tsx'
import { Chosen } from '../parts/text.tsx'
import { Amount } from './payments-table.tsx'

interface PaymentDialogProps {
  readonly payment: PaymentAnswer
  readonly close: () => void
}

/** Settles a parked payment by hand. */
export function SettleDialog({ payment, close }: PaymentDialogProps) {
  const outcome = useSignal<SettleBody['outcome'] | null>(null)
  const isFailed = outcome.value === 'failed'
  const submit = async (reason: string, fields: FormData) => {
    const code = String(fields.get('failure_code') ?? '').trim()
    const body: SettleBody = isFailed
      ? { outcome: 'failed', reason, ...(code && { failure_code: code }) }
      : { outcome: 'success', reason }
    await post(`/api/payments/${payment.id}/settle`, body)
    return isFailed ? 'The payment was settled as failed.' : 'The payment was settled as successful.'
  }
  return (
    <ActDialog
      title="Settle the payment"
      act={outcome.value ? `Settle as ${outcome.value}` : 'Settle'}
      isDangerous
      submit={submit}
      close={close}
    >
      <p>
        <Chosen text={payment.reference} />, <Amount payment={payment} />
      </p>
      <fieldset class="choices">
        <legend>What happened to the money?</legend>
        {OUTCOMES.map(({ value, text }) => (
          <label key={value}>
            <input
              type="radio"
              name="outcome"
              value={value}
              required
              checked={outcome.value === value}
              onChange={() => {
                outcome.value = value
              }}
            />
            {text}
          </label>
        ))}
      </fieldset>
      {isFailed && (
        <label class="field">
          <span>Failure code (optional)</span>
          <input
            name="failure_code"
            placeholder="settled_by_operator"
            pattern="[a-z0-9_]{1,64}"
            title="1 to 64 characters of a-z, 0-9 and _"
            autoComplete="off"
            spellcheck={false}
          />
        </label>
      )}
      <p class="warning">
        The merchant sees the outcome, and is told by webhook. It cannot be undone. Find out at the provider what is
        true before you settle it.
      </p>
    </ActDialog>
  )
}

const OUTCOMES = [
  { value: 'success', text: 'It was moved: SUCCESS' },
  { value: 'failed', text: 'It was not moved: FAILED' },
] as const
