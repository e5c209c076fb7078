import { useSignal } from '@preact/signals'
import { useRef } from 'preact/hooks'
import type { PaymentAnswer } from '../../answers.ts'
import { counted } from '../text/digits.ts'
import { heldRows } from './held-rows.ts'
import { PaymentsTable } from './payments-table.tsx'

/** The newest payments, once a second. Rows under the pointer or the focus stay where they are. */
export function LiveTable({ latest }: { readonly latest: readonly PaymentAnswer[] }) {
  const shown = useRef(latest)
  const isPointed = useSignal(false)
  const isFocused = useSignal(false)
  const isHeld = isPointed.value || isFocused.value
  const { rows, fresh } = isHeld ? heldRows(shown.current, latest) : { rows: latest, fresh: 0 }
  shown.current = rows
  const show = () => {
    shown.current = latest
    isPointed.value = false
    isFocused.value = false
  }
  return (
    <>
      <p class="live-state">
        {isHeld ? (
          <>
            Rows stay in place while you are in the list.{' '}
            {fresh > 0 && (
              <button type="button" class="small" onClick={show}>
                Show {counted(fresh, 'new payment')}
              </button>
            )}
          </>
        ) : (
          'The newest payments, live.'
        )}
      </p>
      {/* biome-ignore lint/a11y/noStaticElementInteractions: it only notices that the operator is in the list. */}
      <div
        onMouseEnter={() => {
          isPointed.value = true
        }}
        onMouseLeave={() => {
          isPointed.value = false
        }}
        onFocusIn={() => {
          isFocused.value = true
        }}
        onFocusOut={() => {
          isFocused.value = false
        }}
      >
        <PaymentsTable payments={rows} />
      </div>
    </>
  )
}
