import { piecesOf } from '../text/visible.ts'

/** A value as indented text. Strings of it may come from clients, so their hidden characters are shown. */
export function Json({ value, label }: { readonly value: unknown; readonly label: string }) {
  const text = typeof value === 'string' ? value : (JSON.stringify(value, null, 2) ?? String(value))
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for controls.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard has to reach it.
    <pre class="json" tabIndex={0} role="group" aria-label={label}>
      {text.split('\n').map((line, index) => (
        <bdi key={index} class="json-line">
          {piecesOf(line).map((piece, at) =>
            piece.isHidden ? (
              <span key={at} class="hidden-character">
                {piece.text}
              </span>
            ) : (
              piece.text
            ),
          )}
          {'\n'}
        </bdi>
      ))}
    </pre>
  )
}
