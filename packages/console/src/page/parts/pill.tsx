import type { ComponentChildren } from 'preact'
import type { PaymentAnswer, WaitingFor } from '../../answers.ts'

export type Tone = 'ok' | 'busy' | 'warn' | 'bad' | 'quiet'

/** A state as text, with a dot in its colour. */
export function Pill({ tone, children }: { readonly tone: Tone; readonly children: ComponentChildren }) {
  return <span class={`pill ${tone}`}>{children}</span>
}

const STATUS_TONES = { PENDING: 'busy', SUCCESS: 'ok', FAILED: 'bad' } as const

export function StatusPill({ status }: { readonly status: PaymentAnswer['status'] }) {
  if (status === null) return <Pill tone="quiet">Pruned</Pill>
  const name = { PENDING: 'Pending', SUCCESS: 'Success', FAILED: 'Failed' }[status]
  return <Pill tone={STATUS_TONES[status]}>{name}</Pill>
}

interface Wait {
  readonly name: string
  /** What follows `waits for`. */
  readonly phrase: string
  readonly meaning: string
}

/** What a pending payment waits for, for the operator. */
export const WAITS: Readonly<Record<WaitingFor, Wait>> = {
  queue: {
    name: 'First worker',
    phrase: 'its first worker',
    meaning: 'In the outbox or the queue. No worker has had it yet.',
  },
  provider: {
    name: 'Provider',
    phrase: 'the provider',
    meaning: 'A worker has it, and waits for the provider’s answer.',
  },
  worker: {
    name: 'Another worker',
    phrase: 'another worker',
    meaning: 'Its worker has probably died. Another one claims it.',
  },
  retry: { name: 'Retry', phrase: 'its next attempt', meaning: 'An attempt failed. The next one is scheduled.' },
  pending: {
    name: 'Provider’s decision',
    phrase: 'the provider’s decision',
    meaning: 'The provider has not decided yet. It is asked again.',
  },
  operator: {
    name: 'Operator',
    phrase: 'an operator',
    meaning: 'It is parked. Requeue its dead letter, or settle it.',
  },
}
