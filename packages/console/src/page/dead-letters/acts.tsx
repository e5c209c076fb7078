import { useSignal } from '@preact/signals'
import type { DeadLetterFilter } from '../../answers.ts'
import { mayOperate } from '../session.ts'
import { counted } from '../text/digits.ts'
import { type ResolveAct, ResolveDialog } from './resolve.tsx'
import { ResolveAllDialog } from './resolve-all.tsx'

interface ActsProps {
  readonly filter: DeadLetterFilter
  /** The selected letters. */
  readonly ids: readonly string[]
  readonly shown: number
  readonly more: boolean
  readonly again: () => void
}

/** What can be done with the selected letters, or with all that the filter selects. */
export function Acts({ filter, ids, shown, more, again }: ActsProps) {
  const open = useSignal<{ readonly act: ResolveAct; readonly isAll: boolean } | null>(null)
  const close = () => {
    open.value = null
    again()
  }
  const button = (act: ResolveAct, isAll: boolean, text: string) => (
    <button
      type="button"
      class="small"
      disabled={!isAll && ids.length === 0}
      onClick={() => {
        open.value = { act, isAll }
      }}
    >
      {text}
    </button>
  )
  return (
    <div class="list-head">
      <span>
        {more ? `The oldest ${counted(shown, 'dead letter')}. There are more.` : counted(shown, 'dead letter')}
      </span>
      {mayOperate() && (
        <>
          <span class="list-acts">
            <span>{ids.length} selected</span>
            {button('requeue', false, 'Requeue…')}
            {button('discard', false, 'Discard…')}
          </span>
          <span class="list-acts">
            <span>All that the filter selects</span>
            {button('requeue', true, 'Requeue all…')}
            {button('discard', true, 'Discard all…')}
          </span>
        </>
      )}
      {open.value !== null &&
        (open.value.isAll ? (
          <ResolveAllDialog act={open.value.act} filter={filter} close={close} />
        ) : (
          <ResolveDialog act={open.value.act} ids={ids} close={close} />
        ))}
    </div>
  )
}
