import { useSignal } from '@preact/signals'
import type { PaymentPageAnswer } from '../../answers.ts'
import { ResolveDialog } from '../dead-letters/resolve.tsx'
import { Link } from '../parts/link.tsx'
import { StatusPill } from '../parts/pill.tsx'
import { Loaded } from '../parts/states.tsx'
import { Chosen, Copy } from '../parts/text.tsx'
import { type Polled, usePolled } from '../polled.ts'
import { mayOperate } from '../session.ts'
import { PaymentFacts } from './payment-facts.tsx'
import { Amount } from './payments-table.tsx'
import { RedriveDialog } from './redrive.tsx'
import { SettleDialog } from './settle.tsx'
import { Timeline } from './timeline.tsx'

export function PaymentView({ id }: { readonly id: string }) {
  const polled = usePolled<PaymentPageAnswer>(`/api/payments/${encodeURIComponent(id)}`)
  return (
    <>
      <p class="up">
        <Link href="/payments">Payments</Link>
      </p>
      {polled.data === undefined && <h1>Payment</h1>}
      <Loaded polled={polled}>{(answer) => <Payment answer={answer} again={polled.again} />}</Loaded>
    </>
  )
}

interface PaymentProps {
  readonly answer: PaymentPageAnswer
  readonly again: Polled<PaymentPageAnswer>['again']
}

function Payment({ answer, again }: PaymentProps) {
  const { payment, findings, waits, timeline, not_recorded } = answer
  return (
    <>
      <div class="title">
        <h1>
          <Chosen text={payment.reference} />
        </h1>
        <Copy text={payment.reference} what="reference" />
        <StatusPill status={payment.status} />
        <p class="title-amount">
          <Amount payment={payment} />
        </p>
        <Acts answer={answer} again={again} />
      </div>
      {findings.length > 0 && (
        <section class="findings" aria-labelledby="findings">
          <h2 id="findings">Row, events and hashes do not agree</h2>
          <ul>
            {findings.map((finding) => (
              <li key={finding}>
                <Chosen text={finding} />
              </li>
            ))}
          </ul>
        </section>
      )}
      {waits.length > 0 && (
        <section class="waits" aria-labelledby="waits">
          <h2 id="waits">Now</h2>
          {waits.map((wait) => (
            <p key={wait}>
              <Chosen text={wait} />
            </p>
          ))}
        </section>
      )}
      <div class="payment-columns">
        <Timeline entries={timeline} notRecorded={not_recorded} />
        <PaymentFacts answer={answer} />
      </div>
    </>
  )
}

type Act = 'settle' | 'redrive' | 'requeue' | 'discard'

function Acts({ answer, again }: PaymentProps) {
  const open = useSignal<Act | null>(null)
  const { payment, can, dead_letter: letter } = answer
  const close = () => {
    open.value = null
    again()
  }
  const button = (act: Act, text: string) => (
    <button
      type="button"
      key={act}
      onClick={() => {
        open.value = act
      }}
    >
      {text}
    </button>
  )
  if (!mayOperate()) return null
  return (
    <div class="acts">
      {letter !== null && payment.status === 'PENDING' && button('requeue', 'Requeue…')}
      {can.settle && button('settle', 'Settle…')}
      {can.redrive && button('redrive', 'Redrive…')}
      {letter !== null && payment.waiting_for !== 'operator' && button('discard', 'Discard dead letter…')}
      {open.value === 'settle' && <SettleDialog payment={payment} close={close} />}
      {open.value === 'redrive' && <RedriveDialog payment={payment} close={close} />}
      {letter !== null && (open.value === 'requeue' || open.value === 'discard') && (
        <ResolveDialog act={open.value} ids={[letter]} close={close} />
      )}
    </div>
  )
}
