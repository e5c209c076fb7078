import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef } from 'preact/hooks'
import { told } from '../notice.ts'
import { messageOf } from '../session.ts'

const REASON_MAX = 500

interface DialogProps {
  readonly title: string
  /** The text of the button that acts. */
  readonly act: string
  readonly isDangerous?: boolean
  /** False while what will happen is not known yet. */
  readonly isReady?: boolean
  readonly close: () => void
  /** What will happen, and the fields. */
  readonly children: ComponentChildren
}

interface FormDialogProps extends DialogProps {
  /** Does it. Returns what was done, for the operator. What it throws is shown, and the dialog stays. */
  readonly submit: (fields: FormData) => Promise<string>
}

interface ActDialogProps extends DialogProps {
  /** As that of `FormDialog`. */
  readonly submit: (reason: string, fields: FormData) => Promise<string>
}

/** Asks for a reason before an act. */
export function ActDialog({ submit, children, ...rest }: ActDialogProps) {
  const id = useId()
  const submitWithReason = async (fields: FormData) => {
    const reason = String(fields.get('reason')).trim()
    if (reason === '') throw new Error('Write a reason.')
    return await submit(reason, fields)
  }
  return (
    <FormDialog {...rest} submit={submitWithReason}>
      {children}
      <label class="field" for={id}>
        <span>Reason</span>
        <textarea id={id} name="reason" rows={3} required maxLength={REASON_MAX} />
      </label>
      <p class="hint">The audit log keeps it, with your name.</p>
    </FormDialog>
  )
}

/** Asks before an act that takes no reason. The browser keeps the focus inside, and Escape closes it. */
export function FormDialog({ title, act, isDangerous, isReady = true, submit, close, children }: FormDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const titleId = useId()
  const error = useSignal<string | null>(null)
  const isBusy = useSignal(false)
  useEffect(() => dialog.current?.showModal(), [])

  // The browser gives the focus back to the button that opened it.
  const end = () => dialog.current?.close()
  const onSubmit = async (event: SubmitEvent) => {
    event.preventDefault()
    if (isBusy.value || !(event.currentTarget instanceof HTMLFormElement)) return
    const fields = new FormData(event.currentTarget)
    isBusy.value = true
    error.value = null
    try {
      told(await submit(fields))
      end()
    } catch (caught) {
      error.value = messageOf(caught)
    } finally {
      isBusy.value = false
    }
  }
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby={titleId}>
      <form onSubmit={onSubmit}>
        <h2 id={titleId}>{title}</h2>
        {children}
        {error.value !== null && (
          <p class="notice bad" role="alert">
            {error.value}
          </p>
        )}
        <div class="dialog-buttons">
          <button type="button" onClick={end}>
            Cancel
          </button>
          <button
            type="submit"
            class={isDangerous ? 'primary dangerous' : 'primary'}
            disabled={isBusy.value || !isReady}
          >
            {act}
          </button>
        </div>
      </form>
    </dialog>
  )
}
