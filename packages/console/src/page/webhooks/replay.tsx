import { useSignal } from '@preact/signals'
import type { EndpointAnswer, ReplayBody } from '../../answers.ts'
import { post } from '../api.ts'
import { ActDialog } from '../parts/dialog.tsx'
import { Chosen } from '../parts/text.tsx'
import { At } from '../parts/time.tsx'

interface ReplayDialogProps {
  readonly endpoint: EndpointAnswer
  readonly close: () => void
}

/** Sends earlier events again, in their order. */
export function ReplayDialog({ endpoint: { id, url, missed_since }, close }: ReplayDialogProps) {
  const start = useSignal<'missed' | 'after'>(missed_since === null ? 'after' : 'missed')
  const submit = async (reason: string, fields: FormData) => {
    const after = String(fields.get('after') ?? '').trim()
    const body: ReplayBody = start.value === 'after' ? { after, reason } : { reason }
    await post(`/api/webhooks/endpoints/${id}/replay`, body)
    return 'The replay has begun.'
  }
  return (
    <ActDialog title="Replay events" act="Replay" submit={submit} close={close}>
      <p>
        <Chosen text={url} />
      </p>
      <fieldset class="choices">
        <legend>From where?</legend>
        <label>
          <input
            type="radio"
            name="start"
            disabled={missed_since === null}
            checked={start.value === 'missed'}
            onChange={() => {
              start.value = 'missed'
            }}
          />
          {missed_since === null ? (
            'What was missed: nothing'
          ) : (
            <span>
              What was missed, since <At at={missed_since} />
            </span>
          )}
        </label>
        <label>
          <input
            type="radio"
            name="start"
            checked={start.value === 'after'}
            onChange={() => {
              start.value = 'after'
            }}
          />
          After an event or a time
        </label>
      </fieldset>
      {start.value === 'after' && (
        <label class="field">
          <span>Id of the event, or time with its zone</span>
          <input
            name="after"
            required
            placeholder="evt_… or 2026-12-01T08:00:00Z"
            autoComplete="off"
            spellcheck={false}
          />
        </label>
      )}
      <p class="hint">The endpoint may have had some of these events before. Each keeps its id.</p>
    </ActDialog>
  )
}
