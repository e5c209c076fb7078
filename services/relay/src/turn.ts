import { LANES, type PassResult } from '@cashflow/outbox'
import { MESSAGES_PER_LANE_MAX } from './limits.ts'

const RETRY_FIRST_MS = 1_000
const RETRY_MAX_MS = 60_000

/** Where the next pass begins, how many lanes it looks at, and which lanes have to be read alone. */
export interface Turn {
  readonly start: number
  readonly span: number
  readonly slow: ReadonlyMap<number, SlowLane>
}

/** A lane whose messages took too long, or could not be read, when a pass looked at no other. */
interface SlowLane {
  readonly messagesMax: number
  /** How often not even one message could be read, in a row. */
  readonly failures: number
  /** When it is tried again, by the clock that `nextPass` is told. */
  readonly retryAt: number
}

/** What a pass is made with. */
export interface PassTurn {
  readonly start: number
  readonly span: number
  /** How many messages it reads of each lane. */
  readonly messagesMax: number
}

/** No pass: all lanes wait to be tried again, the first of them for `retryMs` milliseconds. */
export interface NoPass {
  readonly retryMs: number
}

export const FIRST_TURN: Turn = { start: 0, span: LANES, slow: new Map() }

/** A lane that is slow is looked at alone, so that the others do not pay for it; one that waits for its retry is passed over. */
export function nextPass({ start, span, slow }: Turn, now: number): PassTurn | NoPass {
  for (let skipped = 0; skipped < LANES; skipped += 1) {
    const lane = (start + skipped) % LANES
    const own = slow.get(lane)
    if (own && now < own.retryAt) continue
    if (own) return { start: lane, span: 1, messagesMax: own.messagesMax }
    let wide = 1
    while (wide < span && !slow.has((lane + wide) % LANES)) wide += 1
    return { start: lane, span: wide, messagesMax: MESSAGES_PER_LANE_MAX }
  }
  return { retryMs: Math.min(...[...slow.values()].map(({ retryAt }) => retryAt)) - now }
}

/**
 * @param turn the latest one; other passes may have changed it since this one began
 * @param begun what the pass was made with
 */
export function afterPass(
  turn: Turn,
  begun: PassTurn,
  end: Pick<PassResult, 'settlements' | 'lanesHeld' | 'cutBySize' | 'nextLane'>,
): Turn {
  const slow = new Map(turn.slow)
  if (begun.span === 1 && end.lanesHeld === 1 && slow.has(begun.start)) {
    // What does not fit into the size limit was read, and written out by PostgreSQL, for nothing.
    const messagesMax = end.cutBySize ? Math.max(1, end.settlements.length) : 2 * begun.messagesMax
    if (messagesMax < MESSAGES_PER_LANE_MAX) slow.set(begun.start, { messagesMax, failures: 0, retryAt: 0 })
    else slow.delete(begun.start)
  }
  return { start: end.nextLane, span: Math.min(LANES, turn.span + 1), slow }
}

/**
 * After a pass for which a statement took too long, or met a damaged page. There may be more dead tuples than there is
 * time to read: the next pass begins with the same lanes and looks at half as many, so that each comes into a pass that
 * has the time, or is tried alone. A lane that fails alone is read in smaller steps, down to one message. When that fails
 * too, it is tried again after a wait, and all other lanes go on.
 */
export function afterFailure(turn: Turn, begun: PassTurn, now: number): Turn {
  if (begun.span > 1) return { ...turn, start: begun.start, span: Math.min(turn.span, Math.floor(begun.span / 2)) }
  const slow = new Map(turn.slow)
  const failures = begun.messagesMax === 1 ? (slow.get(begun.start)?.failures ?? 0) + 1 : 0
  slow.set(begun.start, {
    messagesMax: Math.max(1, Math.floor(begun.messagesMax / 2)),
    failures,
    retryAt: failures === 0 ? now : now + Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (failures - 1)),
  })
  return { start: (begun.start + 1) % LANES, span: 1, slow }
}
