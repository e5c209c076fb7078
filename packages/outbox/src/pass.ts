import type { Kysely } from 'kysely'
import { decide } from './decide.ts'
import type { Floors, FloorsView } from './floors.ts'
import { type LaneRead, lockLanes, type ReadMessage, readLanes } from './lanes.ts'
import { BODY_BYTES_MAX, LANES } from './message.ts'
import { publishRouted } from './publish-routed.ts'
import type { Publisher, PublishOutcome } from './publisher.ts'
import { type MessageDisposition, settle } from './settle.ts'
import type { OutboxTables } from './tables.ts'
import type { Sparing, TopicChange, Topics } from './topics.ts'

export interface PassOptions<Tables extends OutboxTables> {
  db: Kysely<Tables>
  publisher: Publisher
  floors: Floors
  topics: Topics
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
  settlements: readonly MessageDisposition[]
  /** Topics that are refused now, or no longer. */
  changes: readonly TopicChange[]
  /** How many lanes it had locked. */
  lanesHeld: number
  /** Whether it read less than it might have because of the size limit. */
  cutBySize: boolean
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
  { db, publisher, floors, topics, limits }: PassOptions<Tables>,
  startLane: number,
  span = LANES,
): Promise<PassResult> {
  const view = floors.view()
  const sparing = topics.sparing()
  // Each statement has to have a snapshot of its own, whatever the server's default is.
  const tx = await db.startTransaction().setIsolationLevel('read committed').execute()
  try {
    const { lanes, xid } = await lockLanes(tx, view, { start: startLane, span, lanesMax: limits.lanesMax })
    if (lanes.length === 0) {
      await tx.rollback().execute()
      return { settlements: [], changes: [], lanesHeld: 0, cutBySize: false, nextLane: (startLane + span) % LANES }
    }
    const read = await readLanes(tx, lanes, view, limits, sparing)
    const outcomes = await publishRead(publisher, read.messages, limits.confirmDeadlineMs)
    const { changes, moveMs } = topics.judge(read.messages, outcomes)
    const settlements = read.messages.map((message, index): MessageDisposition => {
      const outcome = outcomes[index] ?? NO_OUTCOME
      return { message, action: decide(message, outcome, moveMs(message.topic)) }
    })
    await settle(tx, settlements)
    await tx.commit().execute()
    observeLanes(floors, view, { lanes, xid, read, settlements, limits, sparing })
    const nextLane = ((lanes.at(-1) ?? startLane) + 1) % LANES
    return { settlements, changes, lanesHeld: lanes.length, cutBySize: read.cutBySize, nextLane }
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

const NO_OUTCOME: PublishOutcome = { status: 'unknown', reason: 'no outcome' }

/** Publishes what can be. One outcome for each that was read, in their order. */
async function publishRead(publisher: Publisher, read: readonly ReadMessage[], deadlineMs: number) {
  const messages = read.filter(({ bytes }) => bytes <= BODY_BYTES_MAX)
  const outcomes = await publishRouted(publisher, messages, deadlineMs)
  if (messages.length === read.length) return outcomes
  let next = 0
  return read.map(({ bytes }): PublishOutcome => {
    if (bytes <= BODY_BYTES_MAX) return outcomes[next++] ?? NO_OUTCOME
    return { status: 'oversized', reason: `${bytes} bytes, more than ${BODY_BYTES_MAX}` }
  })
}

interface PassFacts {
  lanes: readonly number[]
  xid: bigint
  read: LaneRead
  settlements: readonly MessageDisposition[]
  limits: PassLimits
  sparing: Sparing
}

function observeLanes(floors: Floors, view: FloorsView, facts: PassFacts): void {
  const { lanes, xid, read, settlements, limits, sparing } = facts
  const byLane = Map.groupBy(settlements, ({ message }) => message.lane)
  for (const lane of lanes) {
    const own = byLane.get(lane) ?? []
    const spared = own.filter(({ message }) => sparing.topics.includes(message.topic))
    // Past the last of those that were spared there may be more of them, which were not read.
    const isFiltered = sparing.topics.length > 0 && (read.cutBySize || spared.length >= sparing.perLaneMax)
    const lastRead = (isFiltered ? spared : own).at(-1)?.message.id
    const lowestLeft = own.find(({ action }) => action.action === 'leave')?.message.id
    floors.observe(view, lane, {
      xid,
      xmin: read.xmin,
      lastRead: lastRead === undefined ? undefined : BigInt(lastRead),
      lowestLeft: lowestLeft === undefined ? undefined : BigInt(lowestLeft),
      cut: isFiltered || read.cutBySize || own.length === limits.messagesPerLaneMax,
    })
  }
}
