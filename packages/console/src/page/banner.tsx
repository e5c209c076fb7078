import { now } from './clock.ts'
import { oldSince, unavailable } from './live.ts'
import { notice } from './notice.ts'
import { Chosen } from './parts/text.tsx'
import { relativeText } from './text/durations.ts'
import { clockText } from './text/times.ts'

/** The only part of the page that a screen reader reads out on its own. */
export function Banner() {
  return (
    <div class="banners" aria-live="polite">
      {oldSince.value !== null && (
        <p class="banner bad">
          <strong>What you see is old.</strong>{' '}
          {unavailable.value === null ? 'Nothing has come from the server' : 'PostgreSQL could not be read'} since{' '}
          {clockText(new Date(oldSince.value))}
          <OldFor sinceMs={oldSince.value} />.{' '}
          {unavailable.value === null ? 'Connecting again…' : <Chosen text={unavailable.value} />}
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
