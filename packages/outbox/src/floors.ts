import type { Kysely } from 'kysely'
import { liesBelow } from './lanes.ts'
import { LANES } from './message.ts'
import { NOT_PAST_DAMAGE, type PastDamage, pastDamage } from './past-damage.ts'
import type { OutboxTables } from './tables.ts'

/** What a relay knows of a lane. Never changed, only replaced. */
interface LaneState {
  /** How often the floors had been forgotten: what was seen before that says nothing. */
  readonly generation: number
  /** Nothing can be left at or below it. */
  readonly floor: bigint
  /** An id that a finished pass has read. Ids below it may still be uncommitted. */
  readonly shown?: bigint
  /** The xid of a pass, of whichever lanes, that began after that: whoever took an id below `shown` has an older one. */
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
 * Forgetting them at times would do the same, but each pass would then read again whatever an old snapshot keeps. A lane
 * that cannot be read stops no look at the others.
 *
 * @returns the lane and the floor that were wrong
 */
export async function verifyFloors<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  floors: Floors,
  signal: AbortSignal,
  past: PastDamage = NOT_PAST_DAMAGE,
): Promise<{ lane: number; floor: bigint } | undefined> {
  // Taken before the look: what lay below these floors was deleted, and that committed.
  for (const [lane, { floor }] of floors.view().entries()) {
    if (signal.aborted) return undefined
    if (!(await pastDamage(liesBelow(db, lane, floor), past, lane))) continue
    floors.forget()
    return { lane, floor }
  }
  return undefined
}

/**
 * Remembers per lane below which id nothing can be left, so that reads skip the dead tuples of deleted messages.
 * A smaller id may commit late, hence three steps:
 * a finished pass has read ids up to `shown`; `horizon`, the xid of a pass that began after that, is noted; a statement
 * for which every xid up to `horizon` has ended moves the floor up to `shown`, or to just below what it left or did not
 * reach.
 */
export function createFloors(): Floors {
  let states = unknown(0)
  return {
    view: () => states,
    observe(view, lane, observation) {
      if (view[lane]?.generation !== states[lane]?.generation) return
      states = states.map((state, index) => {
        const noted = note(state, view[index], observation.xid)
        return index === lane ? advance(noted, observation) : noted
      })
    },
    forget() {
      states = unknown((states[0]?.generation ?? 0) + 1)
    },
  }
}

function unknown(generation: number): FloorsView {
  return Array.from({ length: LANES }, () => ({ generation, floor: 0n }))
}

/** @param begun what a pass of this xid began with */
function note(state: LaneState, begun: LaneState | undefined, xid: bigint): LaneState {
  if (state.shown === undefined || state.horizon !== undefined || state.shown !== begun?.shown) return state
  return { ...state, horizon: xid }
}

function advance(state: LaneState, seen: LaneObservation): LaneState {
  const { generation, shown, horizon } = state
  if (shown === undefined) return showing(state, seen.lastRead)
  // It then has read after `shown` was, whatever it began with.
  if (horizon === undefined || seen.xmin <= horizon) return state
  let floor = shown
  if (seen.lowestLeft !== undefined && seen.lowestLeft <= floor) floor = seen.lowestLeft - 1n
  const reached = seen.lastRead ?? state.floor
  if (seen.cut && reached < floor) floor = reached
  if (floor < state.floor) floor = state.floor
  return showing({ generation, floor }, seen.lastRead)
}

function showing(state: LaneState, id: bigint | undefined): LaneState {
  return id !== undefined && id > state.floor ? { ...state, shown: id } : state
}
