import type { WakeSignal } from '@cashflow/async'
import { type Loop, pause } from '@cashflow/async'
import { type Tables, withBeats } from '@cashflow/db'
import {
  type Floors,
  LANES,
  type OutboxMessage,
  type PassLimits,
  type PassResult,
  type Publisher,
  relayBackoffMs,
  runPass,
  type Topics,
} from '@cashflow/outbox'
import type { Logger } from '@cashflow/runtime'
import { readTraceparent, traceIdOf } from '@cashflow/tracing'
import type { Kysely } from 'kysely'
import { concernsLane } from './lane-errors.ts'
import { afterFailure, afterPass, FIRST_WINDOW, nextPass } from './scan-window.ts'

const POLL_MS = 200
// There may be a million refused messages: a loop spends at most a quarter of its time on reading past them.
const LOOK_PAST_REST = 3
const REFUSALS_EVERY_MS = 1_000

export const PASS_FAILED = 'pass failed, its messages stay in the outbox'

/** The options of each loop of a relay. */
export interface LoopOptions {
  db: Kysely<Tables>
  floors: Floors
  topics: Topics
  /** Ends the wait of a loop that found nothing to publish. */
  wake: WakeSignal
  /** Woken when refused messages may be published again. */
  reopened: WakeSignal
  logger: Logger
  signal: AbortSignal
}

export interface PassLoopOptions extends LoopOptions {
  /** Returns whether an operator has paused the relays. */
  isPaused: () => boolean
  publisher: Publisher & { whenReady(signal: AbortSignal): Promise<void> }
  limits: PassLimits
  /** Called after COMMIT with each message that the broker has confirmed. */
  onConfirmed?: ((message: OutboxMessage) => void) | undefined
}

/**
 * Creates the loop of passes. It may run several times at once: the runs share where the next pass starts. It rejects
 * with errors that no lane caused, such as a lost database session.
 */
export function createPassLoop(options: PassLoopOptions): (loop: Loop) => Promise<void> {
  const { publisher, isPaused, floors, topics, limits, wake, reopened, onConfirmed, logger, signal } = options
  const report = createReport(logger, onConfirmed)
  let window = FIRST_WINDOW

  /** Without a broker, and during a pause, there is no pass: it would hold lanes and a transaction for nothing. */
  async function mayBegin(): Promise<void> {
    do {
      while (isPaused() && !signal.aborted) await pause(POLL_MS, signal)
      await publisher.whenReady(signal)
      signal.throwIfAborted()
    } while (isPaused())
  }

  /** @returns undefined if all lanes wait for their retry, or after a failure that the messages of a lane caused */
  async function passOnce(db: LoopOptions['db'], loop: Loop): Promise<(PassResult & { tookMs: number }) | undefined> {
    await loop.outwait(mayBegin())
    const startedAt = performance.now()
    const begun = nextPass(window, startedAt)
    if ('retryMs' in begun) {
      await loop.outwait(pause(begun.retryMs, signal))
      return undefined
    }
    const { startLane, laneCount, messagesMax } = begun
    try {
      const own = { ...limits, messagesPerLaneMax: messagesMax }
      const result = await runPass({ db, publisher, floors, topics, limits: own }, startLane, laneCount)
      window = afterPass(window, begun, result)
      report(result)
      return { ...result, tookMs: performance.now() - startedAt }
    } catch (error) {
      if (!concernsLane(error)) throw error
      window = afterFailure(window, begun, performance.now())
      const facts = { lane: startLane, lanes: laneCount, messages_max: messagesMax, error }
      if (laneCount > 1 || messagesMax > 1) logger.warn(PASS_FAILED, facts)
      else logger.error('lane cannot be read, all others go on', facts)
      await pause(relayBackoffMs(0), signal)
      return undefined
    }
  }

  return async (loop) => {
    const db = withBeats(options.db, loop)
    let failures = 0
    while (!signal.aborted) {
      loop.beat()
      const pass = await passOnce(db, loop)
      if (!pass) continue
      const { dispositions, lanesHeld, tookMs } = pass
      const isFull = lanesHeld === limits.lanesMax
      // A notification wakes one loop. That one wakes another if there may be more lanes than it could hold.
      if (isFull && dispositions.length > 0) wake.wake()
      if (topics.reopened) reopened.wake()
      const isUnanswered = countLeft(pass, 'unanswered') > 0
      failures = isUnanswered ? failures + 1 : 0
      if (isUnanswered) await pause(relayBackoffMs(failures), signal)
      else if (dispositions.length === 0) {
        // A pass that holds lanes and reads nothing went past messages of refused topics.
        if (lanesHeld > 0) await loop.outwait(pause(LOOK_PAST_REST * tookMs, signal))
        // In proportion to the lanes that it saw: a round of narrow passes then takes as long as one wide pass.
        const lanesSeen = isFull ? lanesHeld : window.laneCount
        await wake.wait({ atMostMs: (POLL_MS * lanesSeen) / LANES, signal })
      }
    }
  }
}

/** Logs what happened to the messages of each pass. */
function createReport(logger: Logger, onConfirmed: PassLoopOptions['onConfirmed']): (result: PassResult) => void {
  const refusedTopics = new Set<string>()
  let refused = 0
  let refusedLoggedAt = Number.NEGATIVE_INFINITY

  return (result) => {
    for (const disposition of result.dispositions) {
      if (disposition.action.action === 'delete') onConfirmed?.(disposition.message)
      logMessage(logger, disposition)
    }
    for (const change of result.changes) {
      const { topic } = change
      if (change.change === 'refused') {
        refusedTopics.add(topic)
        logger.warn('topic refused', { topic, messages: change.messages })
      } else {
        refusedTopics.delete(topic)
        logger.warn('topic accepted again', { topic, refused_ms: change.refusedMs })
      }
    }
    // A full broker refuses many messages, again and again: one line a second. `topic refused` stands for messages that
    // were moved because of their topic.
    const movedAlone = result.dispositions.filter(
      ({ message, action }) => action.action === 'move' && !refusedTopics.has(message.topic),
    )
    refused += movedAlone.length + countLeft(result, 'refused')
    if (refused > 0 && performance.now() - refusedLoggedAt >= REFUSALS_EVERY_MS) {
      logger.warn('messages refused, tried again later', { messages: refused })
      refused = 0
      refusedLoggedAt = performance.now()
    }
    const unanswered = countLeft(result, 'unanswered')
    if (unanswered > 0) logger.warn('messages not confirmed, they stay in the outbox', { messages: unanswered })
  }
}

type Disposition = PassResult['dispositions'][number]

function logMessage(logger: Logger, { message, action }: Disposition): void {
  const fields = {
    message_id: message.messageId,
    key: message.key,
    topic: message.topic,
    request_id: message.headers['x-request-id'],
    trace_id: traceIdOf(readTraceparent(message.headers.traceparent)),
  }
  if (action.action === 'delete') logger.debug('message published', fields)
  else if (action.action === 'delay')
    logger.warn('message unroutable, tried again later', { ...fields, delay_ms: action.delayMs })
  else if (action.action === 'bury')
    logger.error('message not publishable, now a dead letter', { ...fields, reason: action.reason })
}

/** Counts the messages that stay in their lane for this reason. */
function countLeft({ dispositions }: PassResult, reason: 'refused' | 'unanswered'): number {
  return dispositions.filter(({ action }) => action.action === 'leave' && action.reason === reason).length
}
