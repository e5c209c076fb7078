import type { Payment, PaymentStatus } from '@cashflow/domain'
import { type PaymentRow, toPayment } from './row.ts'

/** What became of a claim. */
export type Claim =
  /** `pending`: the provider said once that it has not decided yet, so it may hold a charge. */
  | { readonly verdict: 'claimed'; readonly payment: Payment; readonly attempts: number; readonly pending: boolean }
  | { readonly verdict: 'settled'; readonly status: PaymentStatus }
  /** It waits for an operator. */
  | { readonly verdict: 'parked' }
  /** Another worker is at it, or it waits for its next attempt. */
  | { readonly verdict: 'leased'; readonly leaseLeftMs: number }
  /** It may not be tried again. */
  | { readonly verdict: 'exhausted'; readonly attempts: number }
  | { readonly verdict: 'unknown' }
  /** Another session has locked it, and its lock was not waited for. It may be unknown as well. */
  | { readonly verdict: 'locked' }

/** A payment as it was locked, with what was decided about it. */
export interface JudgedRow extends PaymentRow {
  /** Among the claims, from 1: a bigint, as text. */
  place: string
  verdict: Exclude<Claim['verdict'], 'unknown' | 'locked'>
  attempts_now: number
  lease_left_ms: number
  pending: boolean
}

export function toClaim(row: JudgedRow): Claim {
  switch (row.verdict) {
    case 'claimed':
      return { verdict: 'claimed', payment: toPayment(row), attempts: row.attempts_now, pending: row.pending }
    case 'settled':
      return { verdict: 'settled', status: row.status }
    case 'parked':
      return { verdict: 'parked' }
    case 'leased':
      return { verdict: 'leased', leaseLeftMs: Math.max(0, row.lease_left_ms) }
    case 'exhausted':
      return { verdict: 'exhausted', attempts: row.attempts_now }
    default:
      return row.verdict satisfies never
  }
}
