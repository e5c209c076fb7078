import type { AttemptsAnswer, DeliveryAnswer } from '../../answers.ts'
import { Json } from '../parts/json.tsx'
import { Loaded } from '../parts/states.tsx'
import { Chosen } from '../parts/text.tsx'
import { At } from '../parts/time.tsx'
import { usePolled } from '../polled.ts'
import { durationText } from '../text/durations.ts'

/** The attempts of a delivery. They are read when the operator opens them. */
export function Attempts({ delivery: { id, endpoint_id } }: { readonly delivery: DeliveryAnswer }) {
  const polled = usePolled<AttemptsAnswer>(`/api/webhooks/endpoints/${endpoint_id}/deliveries/${id}/attempts`)
  return (
    <Loaded polled={polled}>
      {({ attempts }) =>
        attempts.length === 0 ? (
          <p class="muted">No attempt is stored.</p>
        ) : (
          <ol class="attempts" aria-label={`Attempts of delivery ${id}`}>
            {attempts.map((attempt) => (
              <Attempt key={attempt.at} attempt={attempt} />
            ))}
          </ol>
        )
      }
    </Loaded>
  )
}

function Attempt({ attempt }: { readonly attempt: AttemptsAnswer['attempts'][number] }) {
  const { at, duration_ms, status, error, answer } = attempt
  return (
    <li>
      <p class="attempt">
        <At at={at} />
        <strong>{status ?? 'No answer'}</strong>
        <span class="muted">{durationText(duration_ms)}</span>
        {error !== null && (
          <span class="for-operator">
            <Chosen text={error} />
          </span>
        )}
      </p>
      {answer && <Json value={answer} label={`Beginning of the answer at ${at}`} />}
    </li>
  )
}
