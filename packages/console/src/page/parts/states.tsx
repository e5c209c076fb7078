import type { ComponentChildren } from 'preact'
import type { Polled } from '../polled.ts'

/** What stands in for data: loading, an error, or the data with a note if it could not be updated. */
export function Loaded<T>({
  polled,
  children,
}: {
  readonly polled: Polled<T>
  readonly children: (data: T) => ComponentChildren
}) {
  const { data, error, isOther, again } = polled
  if (data === undefined)
    return error === null ? <Loading /> : <Failed message={error} again={again} title="This could not be read" />
  return (
    <div class={isOther ? 'is-old' : undefined} aria-busy={isOther}>
      {error !== null && (
        <Failed message={error} again={again} title="This could not be updated. It shows what was read before" />
      )}
      {children(data)}
    </div>
  )
}

/** Appears after a moment only, so that a quick answer makes no flash. */
export function Loading() {
  return <p class="loading">Loading…</p>
}

interface FailedProps {
  readonly title: string
  readonly message: string
  readonly again: () => void
}

export function Failed({ title, message, again }: FailedProps) {
  return (
    <div class="notice bad">
      <p>
        <strong>{title}.</strong> {message}
      </p>
      <button type="button" class="small" onClick={again}>
        Try again
      </button>
    </div>
  )
}

export function Empty({ title, children }: { readonly title: string; readonly children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  )
}

/** What the operator has to know about a list. */
export function Notes({ notes }: { readonly notes: readonly string[] }) {
  return notes.map((note) => (
    <p key={note} class="note">
      {note}
    </p>
  ))
}
