import type { EndpointAnswer } from '../../answers.ts'
import { now } from '../clock.ts'
import { Pill } from '../parts/pill.tsx'
import { countText } from '../text/digits.ts'
import { durationText } from '../text/durations.ts'

export const STATE_NAMES = { enabled: 'Enabled', failing: 'Failing', disabled: 'Disabled' } as const
const STATE_TONES = { enabled: 'ok', failing: 'warn', disabled: 'bad' } as const

const REASONS = {
  failing: 'It failed too long',
  gone: 'It answered 410 Gone',
  requested: 'By request',
} as const

export function EndpointState({ endpoint: { state, disabled_reason } }: { readonly endpoint: EndpointAnswer }) {
  return (
    <>
      <Pill tone={disabled_reason === 'requested' ? 'quiet' : STATE_TONES[state]}>{STATE_NAMES[state]}</Pill>
      {disabled_reason !== null && <span class="below">{REASONS[disabled_reason]}</span>}
    </>
  )
}

/** The successful ones of the recent attempts. */
export function Successes({ of: { attempts, succeeded } }: { readonly of: EndpointAnswer['recent'] }) {
  if (attempts === 0) return <span class="muted">No attempts</span>
  return (
    <span class={succeeded * 2 < attempts ? 'for-operator' : undefined}>
      {countText(succeeded)} of {countText(attempts)}
    </span>
  )
}

/** The server counts no further. */
const PENDING_MAX = 10_000

/** How many deliveries are pending, and how late the first of them is. */
export function Backlog({ endpoint: { pending, oldest_due_at } }: { readonly endpoint: EndpointAnswer }) {
  const lateMs = oldest_due_at === null ? 0 : now.value - Date.parse(oldest_due_at)
  return (
    <>
      {pending > PENDING_MAX ? `Over ${countText(PENDING_MAX)}` : countText(pending)}
      {lateMs >= 1_000 && <span class="below">{durationText(lateMs)} late</span>}
    </>
  )
}
