import { now } from './clock.ts'
import { oldSince } from './live.ts'
import { notice } from './notice.ts'
import { relativeText } from './text/durations.ts'
import { clockText } from './text/times.ts'

/** The only part of the page that a screen reader reads out on its own. */
export function Banner() {
  return (
    <div class="banners" aria-live="polite">
      {oldSince.value !== null && (
        <p class="banner bad">
          <strong>What you see is old.</strong> Nothing has come from the server since{' '}
          {clockText(new Date(oldSince.value))}
          <OldFor sinceMs={oldSince.value} />. Connecting again…
        </p>
      )}
      {notice.value !== null && (
        <p class="banner done">
          <span>{notice.value}</span>
          <button
            type="button"
            class="small"
            onClick={() => {
              notice.value = null
            }}
          >
            Dismiss
          </button>
        </p>
      )}
    </div>
  )
}

/** Not read out: it changes every second. */
function OldFor({ sinceMs }: { readonly sinceMs: number }) {
  now.value // Counts on, though the clock of the browser is the one that matters here.
  return <span aria-hidden="true">, {relativeText(sinceMs, Date.now())}</span>
}
