import type { PauseAnswer, PauseBody } from '../../answers.ts'
import { post } from '../api.ts'
import { ActDialog } from '../parts/dialog.tsx'

interface PauseDialogProps {
  readonly component: PauseAnswer['component']
  readonly isPaused: boolean
  readonly close: () => void
}

const EFFECTS: Readonly<Record<PauseAnswer['component'], { readonly names: string; readonly effect: string }>> = {
  relay: { names: 'relays', effect: 'Messages stay in the outbox. Payments are still accepted, and none is settled.' },
  worker: { names: 'workers', effect: 'Messages stay in the queue. Payments are still accepted, and none is settled.' },
}

const MINUTE_MS = 60_000
const LENGTHS = [
  { name: '15 minutes', ms: 15 * MINUTE_MS },
  { name: '1 hour', ms: 60 * MINUTE_MS },
  { name: '8 hours', ms: 480 * MINUTE_MS },
  { name: 'Until an operator resumes', ms: 0 },
] as const

/** Pauses all processes of a component, or resumes them. */
export function PauseDialog({ component, isPaused, close }: PauseDialogProps) {
  const { names, effect } = EFFECTS[component]
  const submit = async (reason: string, fields: FormData) => {
    const ms = Number(fields.get('for_ms'))
    const body: PauseBody = ms > 0 ? { reason, for_ms: ms } : { reason }
    await post(`/api/pauses/${component}${isPaused ? '/resume' : ''}`, body)
    return isPaused ? `The ${names} were resumed.` : `The ${names} were paused.`
  }
  return (
    <ActDialog
      title={isPaused ? `Resume the ${names}?` : `Pause the ${names}?`}
      act={isPaused ? 'Resume' : 'Pause'}
      isDangerous={!isPaused}
      submit={submit}
      close={close}
    >
      <p>{isPaused ? 'They go on with what has waited.' : effect}</p>
      {!isPaused && (
        <label class="field">
          <span>For</span>
          <select name="for_ms">
            {LENGTHS.map(({ name, ms }) => (
              <option key={name} value={ms}>
                {name}
              </option>
            ))}
          </select>
        </label>
      )}
    </ActDialog>
  )
}
