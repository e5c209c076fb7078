export interface OutboundMessage {
  messageId: string
  /** What the message is about: those of one key are never reordered. */
  key: string
  /** Routing key, and the message's `type`. */
  topic: string
  /** JSON text. */
  body: string
  headers: Readonly<Record<string, string>>
  /** Whether it is an error that no queue takes it. */
  mandatory: boolean
  createdAt: Date
}

export type PublishOutcome =
  /** The broker answers for it. */
  | { status: 'confirmed' }
  /** The broker refused it now: a full queue, an internal error. */
  | { status: 'nacked' }
  /** No queue takes it. */
  | { status: 'returned'; reason: string }
  /** It does not fit: no frame holds it, or the broker ends the channel of whoever sends it. Nor will it later. */
  | { status: 'oversized'; reason: string }
  /** The broker closes the channel or the connection over it alone, and takes other messages. */
  | { status: 'rejected'; reason: string }
  /** Perhaps published, perhaps not. */
  | { status: 'unknown'; reason: string }

/** The messages of one `publish` call on their way. */
export interface Batch {
  readonly messages: readonly OutboundMessage[]
  /** Index of the next message to send. */
  next: number
  /** Sent, and neither confirmed nor refused yet. */
  readonly inFlight: number
  readonly done: boolean
  /** Until when a message of it may be sent that has to be alone in flight, on the clock of `performance.now()`. */
  readonly aloneUntil: number
  settle(index: number, outcome: PublishOutcome): void
  /** Ends the batch: what has no outcome yet is unknown. Nothing later changes that. */
  giveUp(reason: string): void
}

export function createBatch(
  messages: readonly OutboundMessage[],
  aloneUntil: number,
  finish: (outcomes: PublishOutcome[]) => void,
): Batch {
  const outcomes = new Array<PublishOutcome | undefined>(messages.length).fill(undefined)
  let left = messages.length
  return {
    messages,
    aloneUntil,
    next: 0,
    get inFlight() {
      return this.next - (messages.length - left)
    },
    get done() {
      return left === 0
    },
    settle(index, outcome) {
      if (outcomes[index]) return
      outcomes[index] = outcome
      if (--left === 0) finish(outcomes as PublishOutcome[])
    },
    giveUp(reason) {
      if (left === 0) return
      left = 0
      finish(outcomes.map((outcome) => outcome ?? { status: 'unknown', reason }))
    },
  }
}
