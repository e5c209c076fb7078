import type { TimelineAnswer } from '../../answers.ts'
import { Chosen } from '../parts/text.tsx'
import { At } from '../parts/time.tsx'
import { durationText } from '../text/durations.ts'
import { factTexts } from './fact-texts.ts'

interface TimelineProps {
  readonly entries: readonly TimelineAnswer[]
  readonly notRecorded: readonly string[]
}

const TONES: Readonly<Record<string, string>> = {
  'payment.succeeded': 'ok',
  'payment.failed': 'bad',
  'dead letter': 'bad',
  parked: 'bad',
  unanswered: 'warn',
  expired: 'warn',
  'webhook delivered': 'ok',
  'webhook failed': 'warn',
}

/** What happened to a payment, the oldest first, with the time between the entries. */
export function Timeline({ entries, notRecorded }: TimelineProps) {
  return (
    <section class="card" aria-labelledby="timeline">
      <h2 id="timeline">Timeline</h2>
      {entries.length === 0 && <p class="muted">Nothing is stored.</p>}
      <ol class="timeline">
        {entries.map((entry, index) => (
          <Entry key={index} entry={entry} />
        ))}
      </ol>
      {notRecorded.map((what) => (
        <p key={what} class="hint">
          Not recorded: {what}
        </p>
      ))}
    </section>
  )
}

function Entry({ entry: { at, after_ms, what, by, facts } }: { readonly entry: TimelineAnswer }) {
  return (
    <li class={`${TONES[what] ?? ''} ${after_ms === null ? '' : 'later'}`}>
      {after_ms !== null && <span class="timeline-after">+{durationText(after_ms)}</span>}
      <p class="timeline-what">
        <strong>
          <Chosen text={what} />
        </strong>
        {by !== null && (
          <span class="muted">
            by <Chosen text={by} />
          </span>
        )}
        <span class="timeline-at muted">
          <At at={at} />
        </span>
      </p>
      <ul class="timeline-facts">
        {factTexts(facts).map(({ name, value }) => (
          <li key={name}>
            <span class="muted">
              <Chosen text={name} />
            </span>{' '}
            <Chosen text={value} />
          </li>
        ))}
      </ul>
    </li>
  )
}
