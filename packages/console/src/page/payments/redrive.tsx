import type { PaymentAnswer, RedriveBody } from '../../answers.ts'
import { post } from '../api.ts'
import { ActDialog } from '../parts/dialog.tsx'
import { Chosen } from '../parts/text.tsx'
import { Amount } from './payments-table.tsx'

interface RedriveDialogProps {
  readonly payment: PaymentAnswer
  readonly close: () => void
}

/** Sends the message of a pending payment again. */
export function RedriveDialog({ payment, close }: RedriveDialogProps) {
  const submit = async (reason: string) => {
    const body: RedriveBody = { reason }
    await post(`/api/payments/${payment.id}/redrive`, body)
    return 'The payment was redriven.'
  }
  return (
    <ActDialog title="Redrive the payment" act="Redrive" submit={submit} close={close}>
      <p>
        <Chosen text={payment.reference} />, <Amount payment={payment} />
      </p>
      <p>
        A new message asks a worker to continue with it now. The provider is asked under the same key as before, so the
        money is not moved twice.
      </p>
    </ActDialog>
  )
}
