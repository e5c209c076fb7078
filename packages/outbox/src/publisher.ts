import type { OutboxMessage } from './message.ts'

/** What became of one message. */
export type PublishOutcome =
  /** The broker has taken responsibility for it. */
  | { readonly status: 'confirmed' }
  /** The broker refused it: it is full, or failing. */
  | { readonly status: 'nacked' }
  /** No queue is bound to its topic. */
  | { readonly status: 'returned'; readonly reason: string }
  /** It is more than the broker takes, or can be sent. */
  | { readonly status: 'oversized'; readonly reason: string }
  /** The broker closes the channel or the connection over it alone, and takes other messages. */
  | { readonly status: 'rejected'; readonly reason: string }
  /** The deadline passed or the connection was lost: the broker may have it or not. */
  | { readonly status: 'unknown'; readonly reason: string }

/** The port through which a relay publishes; an adapter stands behind it for each broker. */
export interface Publisher {
  /** One outcome a message, in their order, at the latest after the deadline. Never rejects. */
  publish(messages: readonly OutboxMessage[], options: { deadlineMs: number }): Promise<readonly PublishOutcome[]>
  /** Restores what messages are routed by, where somebody removed it. False when it could not. Never rejects. */
  redeclare(): Promise<boolean>
}
