import type { OutboxMessage } from './message.ts'

/** The broker's answer to one message. */
export type PublishOutcome =
  /** The broker has taken responsibility for it. */
  | { readonly status: 'confirmed' }
  /** The broker refused it: it is full, or failing. */
  | { readonly status: 'nacked' }
  /** No queue is bound to its topic. */
  | { readonly status: 'returned'; readonly reason: string }
  /** It is larger than the broker takes, or than can be sent. */
  | { readonly status: 'oversized'; readonly reason: string }
  /** The broker closes the channel or the connection because of this message alone, and takes other messages. */
  | { readonly status: 'rejected'; readonly reason: string }
  /** The deadline passed or the connection was lost: the broker may or may not have it. */
  | { readonly status: 'unknown'; readonly reason: string }

/** The port through which a relay publishes. Each broker has an adapter that implements it. */
export interface Publisher {
  /** Returns one outcome for each message, in their order, before the deadline or shortly after it. Never rejects. */
  publish(messages: readonly OutboxMessage[], options: { deadlineMs: number }): Promise<readonly PublishOutcome[]>
  /** Declares queues and bindings again, which an operator may have deleted. False if it could not. Never rejects. */
  redeclare(): Promise<boolean>
}
