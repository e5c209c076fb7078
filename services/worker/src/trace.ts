import { INSTANCE } from '@cashflow/runtime'
import type { ProviderAnswer } from './provider/provider.ts'

/** How an attempt went, for operators. Times are of this worker's clock, and left out where nothing happened. */
export interface Trace {
  /** This process. */
  readonly instance: string
  /** The number of the attempt, from 1. */
  readonly attempt: number
  readonly claimed_at: Date
  readonly asked_at?: Date | undefined
  readonly answered_at?: Date | undefined
}

/** The trace of an attempt that has just ended. */
export function traceOf(
  { outcome }: ProviderAnswer,
  { attempt, claimedAt, askedAt }: { attempt: number; claimedAt: Date; askedAt: Date | undefined },
): Trace {
  return {
    instance: INSTANCE,
    attempt,
    claimed_at: claimedAt,
    asked_at: outcome === 'not_attempted' ? undefined : askedAt,
    answered_at: outcome === 'not_attempted' || outcome === 'unknown' ? undefined : new Date(),
  }
}
