import type { ResolveBody, ResolvedAnswer } from '../../answers.ts'
import { post } from '../api.ts'
import { ActDialog } from '../parts/dialog.tsx'
import { counted } from '../text/digits.ts'
import { outcomeText } from './outcome-text.ts'

export type ResolveAct = 'requeue' | 'discard'

interface ResolveDialogProps {
  readonly act: ResolveAct
  readonly ids: readonly string[]
  readonly close: () => void
}

/** Requeues or discards dead letters by their ids. */
export function ResolveDialog({ act, ids, close }: ResolveDialogProps) {
  const submit = async (reason: string) => {
    const body: ResolveBody = { reason, ids }
    return outcomeText(act, await post<ResolvedAnswer>(`/api/dead-letters/${act}`, body))
  }
  const letters = counted(ids.length, 'dead letter')
  return (
    <ActDialog
      title={`${VERBS[act]} ${letters}?`}
      act={`${VERBS[act]} ${letters}`}
      isDangerous={act === 'discard'}
      submit={submit}
      close={close}
    >
      <p>{EFFECTS[act]}</p>
    </ActDialog>
  )
}

export const VERBS = { requeue: 'Requeue', discard: 'Discard' } as const

export const EFFECTS = {
  requeue:
    'Each payment or message goes through the pipeline again. Remove the cause first, or it becomes a dead letter again.',
  discard: 'Nothing else happens. The dead letter of a parked payment is left: settle or requeue that payment.',
} as const
