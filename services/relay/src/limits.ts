import type { PassLimits } from '@cashflow/outbox'

const CONFIRM_DEADLINE_MS = 5_000

/** PostgreSQL ends the session of a pass that outlives its confirm deadline: a frozen relay must not keep its lanes. */
export const IDLE_IN_TRANSACTION_MS = CONFIRM_DEADLINE_MS + 2_000

const LANES_HELD_MAX = 16
export const MESSAGES_PER_LANE_MAX = 128

/** Maximum number of messages that all passes of one relay together have in flight. */
export const MESSAGES_HELD_MAX = LANES_HELD_MAX * MESSAGES_PER_LANE_MAX

/** Limits of each pass. All passes of one relay together hold at most half of the lanes, so that a second relay finds some. */
export function passLimits(passes: number): PassLimits {
  return {
    lanesMax: Math.min(8, Math.floor(LANES_HELD_MAX / passes)),
    messagesPerLaneMax: MESSAGES_PER_LANE_MAX,
    bytesMax: 1_000_000,
    confirmDeadlineMs: CONFIRM_DEADLINE_MS,
  }
}
