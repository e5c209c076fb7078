import { useSignal } from '@preact/signals'
import { piecesOf, visibleText } from '../text/visible.ts'

/** A text that a client, a provider or an operator chose. It changes nothing around it, and hides no character. */
export function Chosen({ text }: { readonly text: string }) {
  const pieces = piecesOf(text)
  return (
    <bdi class="chosen" title={text.length > 24 ? visibleText(text) : undefined}>
      {pieces.map((piece, index) =>
        piece.isHidden ? (
          <span key={index} class="hidden-character">
            {piece.text}
          </span>
        ) : (
          piece.text
        ),
      )}
    </bdi>
  )
}

/** A button that copies exactly the text. */
export function Copy({ text, what }: { readonly text: string; readonly what: string }) {
  const state = useSignal<'' | 'copied' | 'failed'>('')
  const copy = async () => {
    // Browsers have no clipboard on plain http, except on loopback.
    state.value = await Promise.resolve()
      .then(() => navigator.clipboard.writeText(text))
      .then(() => 'copied' as const)
      .catch(() => 'failed' as const)
    setTimeout(() => {
      state.value = ''
    }, 1_500)
  }
  const shown = { '': 'Copy', copied: 'Copied', failed: 'No clipboard' }[state.value]
  return (
    <button type="button" class="copy" onClick={copy} aria-label={`${shown}: ${what}`}>
      {shown}
    </button>
  )
}
