export { appendMessages, appendStep, messagesJson, scheduleMessages } from './append.ts'
export { COUNTED_MAX, outboxBacklog, type TopicBacklog } from './backlog.ts'
export { compiledOnce, type ParameterOf } from './compiled-once.ts'
export type { DamageHandler } from './damage.ts'
export {
  buryMessage,
  countDeadLetters,
  type DeadLetter,
  type DeadLetterFilter,
  findDeadLetter,
  findUnresolvedDeadLetter,
  listDeadLetterIds,
  listDeadLetters,
  requeueDeadLetter,
  resolveDeadLetter,
  resolveDeadLettersOf,
  type StoredDeadLetter,
} from './dead-letters.ts'
export { createFloors, type Floors, verifyFloors } from './floors.ts'
export { type OldestMessage, oldestMessage, outboxLagMs } from './lag.ts'
export { type LaneHolder, laneHolders, lanesLockedBy } from './lane-holders.ts'
export { LANES, type NewMessage, type OutboxMessage, PAYLOAD_BYTES_MAX, PayloadTooLargeError } from './message.ts'
export { createNotifier, NOTIFY_FAILS, type Notifier, OUTBOX_CHANNEL } from './notifier.ts'
export { findDeadLettersOf, findMessages, type UnpublishedMessage } from './of-key.ts'
export { type PassLimits, type PassOptions, type PassResult, runPass } from './pass.ts'
export { PROMOTED_MAX, promoteDue } from './promote.ts'
export type { Publisher, PublishOutcome } from './publisher.ts'
export {
  createSpanSearch,
  nowMicros,
  type SpanSearch,
  type SpanSearchOptions,
  type TimeSpan,
  timeSpans,
} from './span-search.ts'
export type { OutboxTables } from './tables.ts'
export { createTopics, relayBackoffMs, type TopicChange, type Topics } from './topics.ts'
