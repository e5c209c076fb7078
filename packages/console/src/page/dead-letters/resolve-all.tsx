import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { DeadLetterFilter, ResolveBody, ResolvedAnswer, SelectionAnswer } from '../../answers.ts'
import { ApiError, post } from '../api.ts'
import { ActDialog } from '../parts/dialog.tsx'
import { messageOf } from '../session.ts'
import { counted } from '../text/digits.ts'
import { outcomeText } from './outcome-text.ts'
import { EFFECTS, type ResolveAct, VERBS } from './resolve.tsx'

interface ResolveAllProps {
  readonly act: ResolveAct
  readonly filter: DeadLetterFilter
  readonly close: () => void
}

/** Requeues or discards all that the filter selects: counts them first, and acts only if it still selects the same. */
export function ResolveAllDialog({ act, filter, close }: ResolveAllProps) {
  const selection = useSignal<SelectionAnswer | null>(null)
  const error = useSignal<string | null>(null)
  const count = async () => {
    selection.value = null
    error.value = null
    try {
      selection.value = await post<SelectionAnswer>('/api/dead-letters/select', filter)
    } catch (caught) {
      error.value = messageOf(caught)
    }
  }
  // The filter does not change behind an open dialog.
  useEffect(() => void count(), [])

  const submit = async (reason: string) => {
    const counted = selection.value
    if (counted === null) throw new Error('The dead letters have not been counted yet.')
    const body: ResolveBody = { reason, filter, expect: counted.hash }
    try {
      return outcomeText(act, await post<ResolvedAnswer>(`/api/dead-letters/${act}`, body))
    } catch (caught) {
      if (!(caught instanceof ApiError && caught.status === 409)) throw caught
      await count()
      throw new Error('Nothing was done: the filter selects others than before. They were counted again.')
    }
  }
  const letters = selection.value && counted(selection.value.dead_letters, 'dead letter')
  return (
    <ActDialog
      title={`${VERBS[act]} all that the filter selects?`}
      act={letters ? `${VERBS[act]} ${letters}` : VERBS[act]}
      isDangerous={act === 'discard'}
      isReady={selection.value !== null && selection.value.dead_letters > 0}
      submit={submit}
      close={close}
    >
      <p class="selection">
        {letters ? <strong>{letters}</strong> : (error.value ?? 'Counting…')}
        {selection.value?.more && ', the oldest ones. The filter selects more: act again for the others.'}
      </p>
      <p>{EFFECTS[act]}</p>
    </ActDialog>
  )
}
