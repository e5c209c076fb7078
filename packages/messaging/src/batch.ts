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
  /** In the order in which they are sent. */
  readonly messages: readonly OutboundMessage[]
  /** Index of the next message to send. */
  next: number
  /** Sent, and neither confirmed nor refused yet. */
  readonly inFlight: number
  readonly done: boolean
  /** Until when a message that has to be alone in flight may be sent, on the clock of `performance.now()`. */
  readonly aloneUntil: number
  settle(place: number, outcome: PublishOutcome): void
  /** Ends the batch: what has no outcome yet is unknown. Nothing later changes that. */
  giveUp(reason: string): void
}

export interface BatchOptions {
  /** In which the messages are sent, as indexes, if not in that of the call. */
  order: readonly number[] | undefined
  aloneUntil: number
  /** Called once, with the outcomes in the order of the call. */
  finish(outcomes: PublishOutcome[]): void
}

export function createBatch(given: readonly OutboundMessage[], { order, aloneUntil, finish }: BatchOptions): Batch {
  const outcomes = new Array<PublishOutcome | undefined>(given.length).fill(undefined)
  let left = given.length
  return {
    messages: order ? order.map((index) => given[index] as OutboundMessage) : given,
    aloneUntil,
    next: 0,
    get inFlight() {
      return this.next - (given.length - left)
    },
    get done() {
      return left === 0
    },
    settle(place, outcome) {
      const index = order?.[place] ?? place
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
