import type { Kysely } from 'kysely'
import { liesBelow } from './lanes.ts'
import { LANES } from './message.ts'
import type { OutboxTables } from './tables.ts'

/** What a relay knows of a lane. Never changed, only replaced: an observation applies to the state that it began with. */
interface LaneState {
  /** Nothing can be left at or below it. */
  readonly floor: bigint
  /** An id that a finished pass has read. Ids below it may still be uncommitted. */
  readonly shown?: bigint
  /** The xid of a pass that began after that: whoever took an id below `shown` has an older one. */
  readonly horizon?: bigint
}

/** What a pass that is over saw in a lane. */
export interface LaneObservation {
  /** The pass's own xid. */
  xid: bigint
  /** The oldest xid still in progress for the very statement that read the lane. */
  xmin: bigint
  /** The highest id that was read, if any. */
  lastRead: bigint | undefined
  /** The lowest id that was read and stays. */
  lowestLeft: bigint | undefined
  /** Whether the lane may hold more than was read. */
  cut: boolean
}

export type FloorsView = readonly LaneState[]

export interface Floors {
  /** To be taken before a pass begins. */
  view(): FloorsView
  /** To be called after a pass has ended, with the view that it began with. */
  observe(view: FloorsView, lane: number, observation: LaneObservation): void
  /** Reading from the start again is always correct. */
  forget(): void
}

/**
 * Looks below each floor, lane by lane, and forgets them all if a message is there: this relay would never read it.
 * Forgetting them at times would do the same, but each pass would then read again whatever an old snapshot keeps.
 *
 * @returns the lane and the floor that were wrong
 */
export async function verifyFloors<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  floors: Floors,
  signal: AbortSignal,
): Promise<{ lane: number; floor: bigint } | undefined> {
  // Taken before the look: what lay below these floors was deleted, and that committed.
  for (const [lane, { floor }] of floors.view().entries()) {
    if (signal.aborted) return undefined
    if (!(await liesBelow(db, lane, floor))) continue
    floors.forget()
    return { lane, floor }
  }
  return undefined
}

const UNKNOWN: readonly LaneState[] = Array.from({ length: LANES }, () => ({ floor: 0n }))

/**
 * Remembers per lane below which id nothing can be left, so that reads skip the dead tuples of deleted messages.
 * A smaller id may commit late, hence three steps, each by a pass that began after the one before it had ended:
 * ids up to `shown` were read; `horizon`, a pass's own xid, is noted; a statement for which every xid up to
 * `horizon` has ended moves the floor up to `shown`, or to just below what it left or did not reach.
 */
export function createFloors(): Floors {
  let states: readonly LaneState[] = [...UNKNOWN]
  return {
    view: () => states,
    observe(view, lane, observation) {
      const state = states[lane]
      // Replaced meanwhile, by a pass beside this one or by forget(): this pass then began too early to conclude.
      if (state === undefined || state !== view[lane]) return
      const next = advance(state, observation)
      if (next !== state) states = states.with(lane, next)
    },
    forget() {
      states = UNKNOWN.map((state) => ({ ...state }))
    },
  }
}

function advance(state: LaneState, seen: LaneObservation): LaneState {
  if (state.shown === undefined) {
    return seen.lastRead === undefined ? state : { floor: state.floor, shown: seen.lastRead }
  }
  if (state.horizon === undefined) return { ...state, horizon: seen.xid }
  if (seen.xmin <= state.horizon) return state
  let floor = state.shown
  if (seen.lowestLeft !== undefined && seen.lowestLeft <= floor) floor = seen.lowestLeft - 1n
  const reached = seen.lastRead ?? state.floor
  if (seen.cut && reached < floor) floor = reached
  if (floor < state.floor) floor = state.floor
  return seen.lastRead !== undefined && seen.lastRead > floor ? { floor, shown: seen.lastRead } : { floor }
}
