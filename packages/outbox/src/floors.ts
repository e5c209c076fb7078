import { defined } from '@cashflow/async'
import { type Expression, type Kysely, sql } from 'kysely'
import { type DamageHandler, FAIL_ON_DAMAGE, skipDamage } from './damage.ts'
import { LANES } from './message.ts'
import { type OutboxTables, outboxOf } from './tables.ts'

/** A relay's knowledge of a lane. Never changed, only replaced. */
interface LaneState {
  /** Number of times that the floors were forgotten. An observation of an earlier generation does not count. */
  readonly generation: number
  /** No message can be left at or below this id. */
  readonly floor: bigint
  /** An id that a finished pass has read. Ids below it may still be uncommitted. */
  readonly maxIdRead?: bigint
  /** The xid of a pass, of any lanes, that began after that. Every producer that took an id below `maxIdRead` has an older xid. */
  readonly fenceXid?: bigint
}

/** The observations of a finished pass in a lane. */
export interface LaneObservation {
  /** The pass's own xid. */
  xid: bigint
  /** The oldest xid still in progress for the statement that read the lane. */
  xmin: bigint
  /** The highest id that was read, if any. */
  lastRead: bigint | undefined
  /** The lowest id that was read and stays in the lane. */
  lowestLeft: bigint | undefined
  /** True if the lane may hold more than was read. */
  cut: boolean
}

export type FloorsView = readonly LaneState[]

export type Floors = ReturnType<typeof createFloors>

/**
 * Remembers per lane the id below which no message can be left, so that reads skip the dead tuples of deleted messages.
 * A smaller id may commit late. So the floor moves in three steps:
 *
 * 1. A finished pass has read ids up to `maxIdRead`.
 * 2. A pass that began after that gives its xid as `fenceXid`.
 * 3. A statement for which every xid up to `fenceXid` has ended reads the lane. Its pass moves the floor up to
 *    `maxIdRead`, or to just below what it left or did not reach.
 */
export function createFloors() {
  let states = unknownFloors(0)
  return {
    /** The floors as they are. A pass takes them before it begins. */
    view: (): FloorsView => states,
    /** Records what a pass saw. Called after the pass's COMMIT, with the view that the pass began with. */
    observe(view: FloorsView, lane: number, observation: LaneObservation): void {
      if (view[lane]?.generation !== states[lane]?.generation) return
      states = states.map((state, index) => {
        const fenced = recordFence(state, view[index], observation.xid)
        return index === lane ? moveFloor(fenced, observation) : fenced
      })
    },
    /** Sets all floors to 0. Always correct: the relay reads lanes from the start again, which is slower. */
    forget(): void {
      states = unknownFloors(defined(states[0], 'state of lane 0').generation + 1)
    },
  }
}

function unknownFloors(generation: number): FloorsView {
  return Array.from({ length: LANES }, () => ({ generation, floor: 0n }))
}

/** @param begun the state that the pass with this xid began with */
function recordFence(state: LaneState, begun: LaneState | undefined, xid: bigint): LaneState {
  if (state.maxIdRead === undefined || state.fenceXid !== undefined || state.maxIdRead !== begun?.maxIdRead)
    return state
  return { ...state, fenceXid: xid }
}

function moveFloor(state: LaneState, seen: LaneObservation): LaneState {
  const { generation, maxIdRead, fenceXid } = state
  if (maxIdRead === undefined) return recordRead(state, seen.lastRead)
  // With xmin above `fenceXid`, every transaction that could hold an id up to `maxIdRead` had ended before this read,
  // whichever state the pass began with. No message can still appear there.
  if (fenceXid === undefined || seen.xmin <= fenceXid) return state
  let floor = maxIdRead
  if (seen.lowestLeft !== undefined && seen.lowestLeft <= floor) floor = seen.lowestLeft - 1n
  const reached = seen.lastRead ?? state.floor
  if (seen.cut && reached < floor) floor = reached
  if (floor < state.floor) floor = state.floor
  return recordRead({ generation, floor }, seen.lastRead)
}

function recordRead(state: LaneState, id: bigint | undefined): LaneState {
  return id !== undefined && id > state.floor ? { ...state, maxIdRead: id } : state
}

/**
 * Searches for a message below a floor, lane by lane, which this relay would never read. If it finds one, it forgets all
 * floors. Forgetting them regularly would do the same, but each pass would then read again all dead tuples that an old
 * snapshot keeps. A lane that cannot be read does not stop the search in the others.
 *
 * @returns the lane and the floor that were wrong
 */
export async function verifyFloors<Tables extends OutboxTables>(
  db: Kysely<Tables>,
  floors: Floors,
  signal: AbortSignal,
  damage: DamageHandler = FAIL_ON_DAMAGE,
): Promise<{ lane: number; floor: bigint } | undefined> {
  // Taken before the search: the deletes of messages below these floors have committed.
  for (const [lane, { floor }] of floors.view().entries()) {
    if (signal.aborted) return undefined
    if (!(await skipDamage(hasMessageBelow(outboxOf(db), lane, floor), damage, lane))) continue
    floors.forget()
    return { lane, floor }
  }
  return undefined
}

/**
 * True if a message lies at or below the floor. It reads the dead tuples below the floor: almost none, or all of the
 * lane's if an old snapshot keeps them from being vacuumed.
 */
async function hasMessageBelow(db: Kysely<OutboxTables>, lane: number, floor: bigint): Promise<boolean> {
  const row = await db
    .selectFrom('outbox_messages')
    .select('id')
    .where('lane', '=', lane)
    .where('id', '<=', floor.toString())
    .limit(sql.lit(1))
    .executeTakeFirst()
  return row !== undefined
}

export type LaneFloors = ReturnType<typeof floorsOf>

/** Lanes, and the floor above which each is read. */
export function floorsOf(lanes: readonly number[], view: FloorsView) {
  return { lanes, floors: lanes.map((lane) => defined(view[lane], `floor of lane ${lane}`).floor.toString()) }
}

/** Lanes with their floors as rows of a statement: `looked (lane, floor)`. */
export function looked(lanes: Expression<readonly number[]>, floors: Expression<readonly string[]>) {
  // Two array parameters for any number of lanes: statements are prepared by their text, which stays the same. As `sql`: the
  // builder has no arrays of a type.
  return sql<{ lane: number; floor: string }>`unnest(${lanes}::smallint[], ${floors}::bigint[])`.as<'looked'>(
    sql`looked (lane, floor)`,
  )
}
