import { useEffect, useId, useRef } from 'preact/hooks'
import type { NewKeyAnswer } from '../../answers.ts'
import { Chosen, Copy } from '../parts/text.tsx'

interface SecretDialogProps {
  readonly made: NewKeyAnswer
  readonly close: () => void
}

/** Shows a new key the only time that it can be seen. */
export function SecretDialog({ made, close }: SecretDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const titleId = useId()
  useEffect(() => dialog.current?.showModal(), [])
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby={titleId}>
      <h2 id={titleId}>The new key</h2>
      <p>
        <Chosen text={made.key.name} />
      </p>
      <p class="secret">
        <code>{made.secret}</code>
        <Copy text={made.secret} what="the new key" />
      </p>
      <p class="warning">Copy it now. It is not stored, and cannot be seen again after this dialog is closed.</p>
      <div class="dialog-buttons">
        <button type="button" class="primary" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  )
}
