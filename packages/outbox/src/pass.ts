import { defined, within } from '@cashflow/async'
import type { Kysely } from 'kysely'
import type { Floors, FloorsView } from './floors.ts'
import { type LaneRead, lockLanes, readLanes } from './lanes.ts'
import { BODY_BYTES_MAX, LANES, type ReadMessage } from './message.ts'
import type { Publisher, PublishOutcome } from './publisher.ts'
import { decide, type MessageDisposition, settle } from './settle.ts'
import { type OutboxTables, outboxOf } from './tables.ts'
import type { TopicChange, TopicQuota, Topics } from './topics.ts'

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
  /** Maximum size of the bodies that are read together. The message that exceeds it is the last one read. */
  bytesMax: number
  /** Maximum wait for the confirms, in milliseconds. */
  confirmDeadlineMs: number
}

export interface PassResult {
  /** The messages that the pass read, and what it did with each. */
  dispositions: readonly MessageDisposition[]
  /** Topics that the broker began to refuse, or accepts again. */
  changes: readonly TopicChange[]
  /** Number of lanes that the pass had locked. */
  lanesHeld: number
  /** True if the pass may have read less because of the size limit. */
  cutBySize: boolean
  /** The lane that the next pass starts with. */
  nextLane: number
}

/**
 * One pass over the outbox: locks free lanes, reads, publishes, waits for the confirms, settles, commits. A message
 * leaves its lane only in the transaction that follows its confirm. If a pass dies, its messages stay where they were.
 *
 * @param laneCount how many lanes it looks at, from `startLane` on
 * @throws what the database throws; a later pass then publishes the messages again
 */
export async function runPass<Tables extends OutboxTables>(
  { db, publisher, floors, topics, limits }: PassOptions<Tables>,
  startLane: number,
  laneCount = LANES,
): Promise<PassResult> {
  const view = floors.view()
  const quota = topics.quota()
  // Each statement needs a snapshot of its own, so the isolation level must not depend on the server's default.
  const tx = await outboxOf(db).startTransaction().setIsolationLevel('read committed').execute()
  try {
    const { lanes, xid } = await lockLanes(tx, view, { startLane, laneCount, lanesMax: limits.lanesMax })
    const lastLane = lanes.at(-1)
    if (lastLane === undefined) {
      await tx.rollback().execute()
      const nextLane = (startLane + laneCount) % LANES
      return { dispositions: [], changes: [], lanesHeld: 0, cutBySize: false, nextLane }
    }
    const read = await readLanes(tx, lanes, view, limits, quota)
    const outcomes = await publish(publisher, read.messages, limits.confirmDeadlineMs)
    const { changes, moveMs } = topics.judge(read.messages, outcomes)
    const dispositions = read.messages.map((message, index): MessageDisposition => {
      return { message, action: decide(message, outcomeAt(outcomes, index), moveMs(message.topic)) }
    })
    await settle(tx, dispositions)
    await tx.commit().execute()
    observeLanes(floors, view, { lanes, xid, read, dispositions, limits, quota })
    const nextLane = (lastLane + 1) % LANES
    return { dispositions, changes, lanesHeld: lanes.length, cutBySize: read.cutBySize, nextLane }
  } catch (error) {
    // If the session is lost, PostgreSQL has rolled the transaction back, and the rollback fails.
    if (!tx.isCommitted && !tx.isRolledBack)
      await tx
        .rollback()
        .execute()
        .catch(() => {})
    throw error
  }
}

/** Part of the deadline that is kept for publishing again. In a shorter time a healthy broker may not confirm. */
const AGAIN_MS_MIN = 1_000

const NOT_DECLARED: PublishOutcome = {
  status: 'unknown',
  reason: 'returned, and the routing could not be declared again',
}

/**
 * Publishes the messages that are not oversized. If the broker returns some as unroutable, a queue or a binding may have
 * been deleted. It then declares the routing again and publishes the returned messages once more, all within the
 * deadline. If the routing cannot be declared, a return says nothing about the message.
 *
 * @returns one outcome for each message, in their order
 */
async function publish(
  publisher: Publisher,
  messages: readonly ReadMessage[],
  deadlineMs: number,
): Promise<readonly PublishOutcome[]> {
  const endsAt = performance.now() + deadlineMs
  const leftMs = () => Math.max(0, endsAt - performance.now())
  const outcomes = messages.map(({ bytes }) => (bytes > BODY_BYTES_MAX ? oversized(bytes) : undefined))
  const send = async (indexes: readonly number[]) => {
    const batch = indexes.map((index) => defined(messages[index], 'message to publish'))
    const answers = await publisher.publish(batch, { deadlineMs: leftMs() })
    for (const [position, index] of indexes.entries()) outcomes[index] = outcomeAt(answers, position)
  }
  const indexesOf = (status: PublishOutcome['status'] | undefined) =>
    [...outcomes.keys()].filter((index) => outcomes[index]?.status === status)

  await send(indexesOf(undefined))
  const returned = indexesOf('returned')
  if (returned.length > 0) {
    const declareMs = Math.max(0, leftMs() - AGAIN_MS_MIN)
    const declaring = within(publisher.redeclare(), { deadlineMs: declareMs, what: 'declaring the routing again' })
    if (await declaring.catch(() => false)) await send(returned)
    else for (const index of returned) outcomes[index] = NOT_DECLARED
  }
  return outcomes.map((outcome) => defined(outcome, 'outcome of a message'))
}

function oversized(bytes: number): PublishOutcome {
  return { status: 'oversized', reason: `${bytes} bytes, more than ${BODY_BYTES_MAX}` }
}

function outcomeAt(outcomes: readonly PublishOutcome[], index: number): PublishOutcome {
  return defined(outcomes[index], 'outcome of a message')
}

interface PassFacts {
  lanes: readonly number[]
  xid: bigint
  read: LaneRead
  dispositions: readonly MessageDisposition[]
  limits: PassLimits
  quota: TopicQuota
}

/** Tells the floors what the pass saw in each of its lanes. */
function observeLanes(floors: Floors, view: FloorsView, facts: PassFacts): void {
  const { lanes, xid, read, dispositions, limits, quota } = facts
  const byLane = Map.groupBy(dispositions, ({ message }) => message.lane)
  for (const lane of lanes) {
    const own = byLane.get(lane) ?? []
    const limited = own.filter(({ message }) => quota.topics.includes(message.topic))
    // A lane may have more messages of a limited topic than the pass has read.
    const isFiltered = quota.topics.length > 0 && (read.cutBySize || limited.length >= quota.perLaneMax)
    const lastRead = (isFiltered ? limited : own).at(-1)?.message.id
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
