import type { Kysely } from 'kysely'
import { decide } from './decide.ts'
import type { Floors, FloorsView } from './floors.ts'
import { type LaneRead, lockLanes, type ReadMessage, readLanes } from './lanes.ts'
import { BODY_BYTES_MAX, LANES } from './message.ts'
import { publishRouted } from './publish-routed.ts'
import type { Publisher, PublishOutcome } from './publisher.ts'
import { type Settlement, settle } from './settle.ts'
import type { OutboxTables } from './tables.ts'

export interface PassOptions<Tables extends OutboxTables> {
  db: Kysely<Tables>
  publisher: Publisher
  floors: Floors
  limits: PassLimits
}

export interface PassLimits {
  lanesMax: number
  messagesPerLaneMax: number
  /** Of the bodies read together. The message that exceeds it is the last one read. */
  bytesMax: number
  /** How long the confirms may take, in milliseconds. */
  confirmDeadlineMs: number
}

export interface PassResult {
  /** What the pass found, and what it did with it. */
  settlements: readonly Settlement[]
  /** How many lanes it had locked. */
  lanesHeld: number
  /** Where the rotation goes on. */
  nextLane: number
}

/**
 * One pass over the outbox: lock free lanes, read, publish, wait for the confirms, settle, commit. A message leaves
 * its lane only in the transaction that follows its confirm, and a pass that dies anywhere leaves it where it was.
 *
 * @param span how many lanes it looks at, from `startLane` on
 * @throws what the database throws; the messages are then published again by a later pass
 */
export async function runPass<Tables extends OutboxTables>(
  { db, publisher, floors, limits }: PassOptions<Tables>,
  startLane: number,
  span = LANES,
): Promise<PassResult> {
  const view = floors.view()
  // Each statement has to have a snapshot of its own, whatever the server's default is.
  const tx = await db.startTransaction().setIsolationLevel('read committed').execute()
  try {
    const { lanes, xid } = await lockLanes(tx, view, { start: startLane, span, lanesMax: limits.lanesMax })
    if (lanes.length === 0) {
      await tx.rollback().execute()
      return { settlements: [], lanesHeld: 0, nextLane: (startLane + span) % LANES }
    }
    const read = await readLanes(tx, lanes, view, limits)
    const settlements = await publishRead(publisher, read.messages, limits.confirmDeadlineMs)
    await settle(tx, settlements)
    await tx.commit().execute()
    observeLanes(floors, view, { lanes, xid, read, settlements, limits })
    return { settlements, lanesHeld: lanes.length, nextLane: ((lanes.at(-1) ?? startLane) + 1) % LANES }
  } catch (error) {
    // Where the session is gone, so is the transaction.
    if (!tx.isCommitted && !tx.isRolledBack)
      await tx
        .rollback()
        .execute()
        .catch(() => {})
    throw error
  }
}

/** Publishes what can be, and decides on all of it. */
async function publishRead(publisher: Publisher, read: readonly ReadMessage[], deadlineMs: number) {
  const messages = read.filter(({ bytes }) => bytes <= BODY_BYTES_MAX)
  const outcomes = await publishRouted(publisher, messages, deadlineMs)
  const byMessage = new Map(messages.map((message, index) => [message, outcomes[index]]))
  const outcomeOf = (message: ReadMessage): PublishOutcome =>
    message.bytes > BODY_BYTES_MAX
      ? { status: 'oversized', reason: `${message.bytes} bytes, more than ${BODY_BYTES_MAX}` }
      : (byMessage.get(message) ?? { status: 'unknown', reason: 'no outcome' })
  return read.map((message): Settlement => ({ message, action: decide(message, outcomeOf(message)) }))
}

interface PassFacts {
  lanes: readonly number[]
  xid: bigint
  read: LaneRead
  settlements: readonly Settlement[]
  limits: PassLimits
}

function observeLanes(floors: Floors, view: FloorsView, { lanes, xid, read, settlements, limits }: PassFacts): void {
  const byLane = Map.groupBy(settlements, ({ message }) => message.lane)
  for (const lane of lanes) {
    const own = byLane.get(lane) ?? []
    const lastRead = own.at(-1)?.message.id
    const lowestLeft = own.find(({ action }) => action.action === 'leave')?.message.id
    floors.observe(view, lane, {
      xid,
      xmin: read.xmin,
      lastRead: lastRead === undefined ? undefined : BigInt(lastRead),
      lowestLeft: lowestLeft === undefined ? undefined : BigInt(lowestLeft),
      cut: read.cutBySize || own.length === limits.messagesPerLaneMax,
    })
  }
}
