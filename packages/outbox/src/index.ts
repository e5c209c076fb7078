export { appendMessages, scheduleMessages } from './append.ts'
export type { NewMessage, OutboxMessage } from './message.ts'
export { createNotifier, type Notifier, OUTBOX_CHANNEL } from './notifier.ts'
export type { OutboxTables } from './tables.ts'
