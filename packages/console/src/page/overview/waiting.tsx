import { type Overview, WAITING_FOR } from '../../answers.ts'
import { Link } from '../parts/link.tsx'
import { WAITS } from '../parts/pill.tsx'
import { countText } from '../text/digits.ts'
import { durationText } from '../text/durations.ts'
import { cappedText } from './stages.ts'

/** What the pending payments wait for. */
export function Waiting({ pending }: { readonly pending: Overview['pending'] }) {
  if (!pending) return null
  const counts = WAITING_FOR.map((name) => ({ name, payments: pending.by_waiting_for[name] ?? 0 }))
  const most = Math.max(1, ...counts.map(({ payments }) => payments))
  return (
    <section class="card" aria-labelledby="waiting">
      <div class="card-head">
        <h2 id="waiting">Pending payments wait for</h2>
        <span class="muted">
          {pending.payments === 0
            ? 'none pending'
            : `${cappedText(pending.payments)}, oldest ${durationText(pending.oldest_ms)}`}
        </span>
      </div>
      <ul class="bars">
        {counts.map(({ name, payments }) => (
          <li key={name}>
            <Link href={`/payments?waiting_for=${name}`}>{WAITS[name].name}</Link>
            <meter min={0} max={most} value={payments} aria-label={`Payments that wait for: ${WAITS[name].name}`} />
            <span class="number">{countText(payments)}</span>
          </li>
        ))}
      </ul>
      {pending.payments > 1_000 && <p class="hint">Counted among the 1,000 payments whose redrive is earliest.</p>}
    </section>
  )
}
