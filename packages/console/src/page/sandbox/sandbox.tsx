import { useSignal } from '@preact/signals'
import type { SandboxAnswer } from '../../answers.ts'
import { Loaded } from '../parts/states.tsx'
import { usePolled } from '../polled.ts'
import { messageOf } from '../session.ts'
import { Counter } from './counter.tsx'
import { Faults } from './faults.tsx'
import { MakePayments } from './make-payments.tsx'
import type { Do } from './props.ts'

const EVERY_MS = 2_000

/** Makes payments and breaks parts of the stack, next to a count of what became of the payments. */
export function SandboxView() {
  const polled = usePolled<SandboxAnswer>('/api/sandbox', EVERY_MS)
  const refusal = useSignal<string | null>(null)
  const change: Do = async (act) => {
    refusal.value = null
    await act().catch((error: unknown) => {
      refusal.value = messageOf(error)
    })
    polled.again()
  }
  return (
    <>
      <h1>Sandbox</h1>
      <p class="lead">
        No money moves here. Make payments, break a part of the system, and watch what becomes of each payment.
      </p>
      {refusal.value !== null && (
        <p class="notice bad" role="alert">
          {refusal.value}
        </p>
      )}
      <Loaded polled={polled}>
        {(sandbox) => (
          <>
            <Counter sandbox={sandbox} change={change} />
            <div class="sandbox-columns">
              <MakePayments sandbox={sandbox} change={change} />
              <Faults sandbox={sandbox} change={change} />
            </div>
          </>
        )}
      </Loaded>
    </>
  )
}
