import type { PassLimits } from '@cashflow/outbox'

export const CONFIRM_DEADLINE_MS = 5_000

/** PostgreSQL ends a pass that the confirm deadline should have ended: a relay that froze must not keep its lanes. */
export const IDLE_IN_TRANSACTION_MS = CONFIRM_DEADLINE_MS + 2_000

const LANES_HELD_MAX = 16
export const MESSAGES_PER_LANE_MAX = 128

/** What the passes of one relay have on its way together at most. */
export const MESSAGES_HELD_MAX = LANES_HELD_MAX * MESSAGES_PER_LANE_MAX

/** The passes of one relay hold at most half of the lanes together, so that a second relay finds work at once. */
export function passLimits(passes: number): PassLimits {
  return {
    lanesMax: Math.min(8, Math.floor(LANES_HELD_MAX / passes)),
    messagesPerLaneMax: MESSAGES_PER_LANE_MAX,
    bytesMax: 1_000_000,
    confirmDeadlineMs: CONFIRM_DEADLINE_MS,
  }
}
