import { remove } from '../api.ts'
import { Ago } from '../parts/time.tsx'
import { mayOperate } from '../session.ts'
import { counted, countText } from '../text/digits.ts'
import type { SandboxProps } from './props.ts'

/** What became of the payments. Lost and doubled have to stay 0. */
export function Counter({ sandbox: { counter, charges_known: areChargesKnown }, change }: SandboxProps) {
  const { accepted, settled, waiting, lost, doubled, refused, unanswered, unreadable } = counter
  return (
    <section class="card" aria-labelledby="counter">
      <div class="card-head">
        <h2 id="counter">What became of the payments</h2>
        <span class="muted">
          counted since <Ago at={counter.since} />
        </span>
      </div>
      <dl class="counter">
        <Count name="Accepted" value={accepted} about="answered with 201" />
        <Count name="Settled" value={settled} about="SUCCESS or FAILED" />
        <Count name="Waiting" value={waiting} about="not settled yet" />
        <Count name="Lost" value={lost} about="gone, or not settled in time" isFault />
        <Count name="Doubled" value={doubled} about="stored or charged twice" isFault />
      </dl>
      <p class="hint">
        Counted from what each request was answered, from what the simulated provider was asked to charge, and from the
        database. Lost: no row, or not settled 60 s after the last fault.
        {refused > 0 && ` The API refused ${counted(refused, 'payment')}.`}
        {unanswered > 0 && ` ${counted(unanswered, 'payment')} had no answer, and may exist.`}
        {unreadable > 0 && ` ${counted(unreadable, 'record')} could not be read: the numbers may be too low.`}
        {!areChargesKnown && ' Charges are not known with this provider: only references are compared.'}
      </p>
      {counter.stale !== null && (
        <p class="notice bad">
          <span>
            <strong>These numbers are old.</strong> {counter.stale} Counted <Ago at={counter.as_of} />.
          </span>
        </p>
      )}
      {mayOperate() && (
        <button type="button" class="small" onClick={() => change(() => remove('/api/sandbox/counter'))}>
          Count from 0
        </button>
      )}
    </section>
  )
}

interface CountProps {
  readonly name: string
  readonly value: number
  readonly about: string
  /** True where every number above 0 is a fault of Cashflow. */
  readonly isFault?: boolean
}

function Count({ name, value, about, isFault }: CountProps) {
  const tone = isFault ? (value === 0 ? 'ok' : 'bad') : undefined
  return (
    <div class={tone}>
      <dt>{name}</dt>
      <dd>{countText(value)}</dd>
      <dd class="muted">{about}</dd>
    </div>
  )
}
