import { aborted, defined } from '@cashflow/async'
import type { BrokerConnection } from './broker-connection.ts'
import { createLatch, type Latch } from './latch.ts'
import type { OutboundMessage, PublishOutcome } from './outbound-message.ts'
import type { Suspects } from './suspects.ts'

/** Time for the confirm of a message that is alone in flight, in milliseconds. At most half of its call's deadline. */
const ALONE_MS = 2_000
/** Stands for an outcome that is not known yet. */
const PENDING: PublishOutcome = { status: 'unknown', reason: 'pending' }

/** A confirm channel, as the window sees it. */
export interface SendingChannel {
  /** Messages sent and not answered. Includes those of finished calls: amqplib or the broker still holds them. */
  readonly inFlight: number
  /** True while the socket accepts no more data. */
  readonly congested: boolean
  /** True while a message is in flight that was sent alone: no other may be sent before its answer. */
  readonly awaitsLone: boolean
  /** Aborted when the channel is lost. */
  readonly closed: AbortSignal
  /** Aborted when a new channel should replace this one. */
  readonly stale: AbortSignal
  /** Sends the batch's next message, and settles it at once if it cannot be sent. `alone`: nothing else is in flight. */
  sendNext(batch: Batch, alone: boolean): void
}

/** The unfinished calls of `publish`, and the window: at most `windowMax` of all their messages are in flight. */
export class PublishWindow {
  readonly suspects: Suspects
  readonly #windowMax: number
  readonly #stopping: AbortSignal
  readonly #ready: Latch<SendingChannel>
  /** Batches with messages left to send, in the order of their calls. */
  readonly #sending = new Set<Batch>()
  readonly #unfinished = new Set<Promise<unknown>>()
  #current: { channel: SendingChannel; broker: BrokerConnection } | undefined
  #accepting = true
  /** Number of messages by the status of their outcome. */
  readonly outcomes = { confirmed: 0, nacked: 0, returned: 0, oversized: 0, rejected: 0, unknown: 0 }

  /** @param stopping aborted when nothing is sent any more */
  constructor(windowMax: number, suspects: Suspects, stopping: AbortSignal) {
    this.suspects = suspects
    this.#windowMax = windowMax
    this.#stopping = stopping
    this.#ready = createLatch(stopping)
  }

  /** True while calls are accepted and there is a channel to send on. */
  get ready(): boolean {
    return this.#accepting && this.#ready.value !== undefined
  }

  /** Messages sent and not answered. */
  get inFlight(): number {
    return this.#current?.channel.inFlight ?? 0
  }

  async whenReady(signal?: AbortSignal): Promise<void> {
    await this.#ready.wait(signal)
  }

  publish(messages: readonly OutboundMessage[], deadlineMs: number): Promise<PublishOutcome[]> {
    const { promise, resolve } = Promise.withResolvers<PublishOutcome[]>()
    const aloneUntil = performance.now() + deadlineMs - Math.min(ALONE_MS, deadlineMs / 2)
    const order = this.suspects.size > 0 ? this.suspects.order(messages) : undefined
    const finish = (outcomes: PublishOutcome[]) => {
      for (const { status } of outcomes) this.outcomes[status] += 1
      resolve(outcomes)
    }
    const batch = new Batch(messages, { order, aloneUntil, finish })
    if (messages.length === 0) resolve([])
    else if (!this.#accepting) batch.giveUp('the publisher was stopped')
    else {
      // After a stall, confirms may have arrived that are not read yet: one more turn of the event loop reads them.
      const timer = setTimeout(() => setImmediate(() => this.#expire(batch, deadlineMs)), deadlineMs)
      this.#sending.add(batch)
      this.#unfinished.add(promise)
      promise.then(() => {
        clearTimeout(timer)
        this.#sending.delete(batch)
        this.#unfinished.delete(promise)
      })
      this.send()
    }
    return promise
  }

  /** Sends as many messages as have room. Has to be called after each answer. */
  send(): void {
    for (const batch of this.#sending) {
      while (!batch.done && batch.next < batch.messages.length) {
        const channel = this.#ready.value
        if (!channel || channel.congested || channel.inFlight >= this.#windowMax) return
        if (this.suspects.size === 0) channel.sendNext(batch, false)
        else if (!this.#sendCarefully(channel, batch)) return
      }
      this.#sending.delete(batch)
    }
  }

  /** Returns false if a message in flight has to be answered first. */
  #sendCarefully(channel: SendingChannel, batch: Batch): boolean {
    const alone = this.suspects.mustBeAlone(defined(batch.messages[batch.next], 'message left to send'))
    if (channel.awaitsLone || (alone && channel.inFlight > 0)) return false
    if (alone && performance.now() > batch.aloneUntil) batch.giveUp('no time left to publish it alone')
    else channel.sendNext(batch, alone)
    return true
  }

  /** Sends on `channel` while the broker does not block it. Resolves when it is closed or stale, or the publisher stops. */
  async sendOn(channel: SendingChannel, broker: BrokerConnection): Promise<void> {
    const { closed, stale } = channel
    const { open, shut } = this.#ready
    this.#current = { channel, broker }
    const follow = () => {
      if (broker.blocked || closed.aborted || stale.aborted) return shut()
      open(channel)
      this.send()
    }
    broker.amqp.on('blocked', follow)
    broker.amqp.on('unblocked', follow)
    // Shut before any promise runs: amqplib refuses the very next message on a closed channel.
    closed.addEventListener('abort', shut)
    stale.addEventListener('abort', shut)
    follow()
    await aborted(closed, stale, this.#stopping)
    shut()
    this.#current = undefined
    broker.amqp.off('blocked', follow)
    broker.amqp.off('unblocked', follow)
  }

  #expire(batch: Batch, deadlineMs: number): void {
    if (batch.done) return
    const unconfirmed = batch.inFlight
    batch.giveUp(`not confirmed within ${deadlineMs} ms`)
    // A blocked broker is expected to be silent. Any other that keeps the window waiting counts as lost.
    if (!this.#current || this.#current.broker.blocked) return
    const { channel, broker } = this.#current
    if (unconfirmed > 0 || channel.inFlight >= this.#windowMax) broker.drop('a publisher confirm is overdue')
  }

  /** Accepts no more calls, and resolves when those accepted are finished. */
  async drain(): Promise<void> {
    this.#accepting = false
    await Promise.all(this.#unfinished)
  }
}

interface BatchOptions {
  /** Order in which the messages are sent, as indexes. Undefined: the order of the call. */
  order: readonly number[] | undefined
  aloneUntil: number
  /** Called once, with the outcomes in the order of the call. */
  finish(outcomes: PublishOutcome[]): void
}

/** The messages of one call of `publish`, and their outcomes. */
export class Batch {
  /** The messages in the order in which they are sent. */
  readonly messages: readonly OutboundMessage[]
  /** Latest time at which a message that has to be alone in flight may be sent, by `performance.now()`. */
  readonly aloneUntil: number
  /** Place in `messages` of the next message to send. */
  next = 0
  readonly #order: readonly number[] | undefined
  readonly #outcomes: PublishOutcome[]
  readonly #finish: (outcomes: PublishOutcome[]) => void
  /** Messages without an outcome. */
  #left: number

  constructor(given: readonly OutboundMessage[], { order, aloneUntil, finish }: BatchOptions) {
    this.messages = order ? order.map((index) => defined(given[index], 'message of the order')) : given
    this.aloneUntil = aloneUntil
    this.#order = order
    this.#outcomes = new Array<PublishOutcome>(given.length).fill(PENDING)
    this.#finish = finish
    this.#left = given.length
  }

  /** Messages sent and not answered. */
  get inFlight(): number {
    return this.next - (this.messages.length - this.#left)
  }

  get done(): boolean {
    return this.#left === 0
  }

  /** Sets the outcome of the message at `place`, if it has none. */
  settle(place: number, outcome: PublishOutcome): void {
    const index = this.#order?.[place] ?? place
    if (this.#outcomes[index] !== PENDING) return
    this.#outcomes[index] = outcome
    if (--this.#left === 0) this.#finish(this.#outcomes)
  }

  /** Settles all messages that are too large, also those not sent yet: each would cost the next channel. */
  settleOversized(bytesMax: number): void {
    for (const [place, { body }] of this.messages.entries()) {
      const bytes = Buffer.byteLength(body)
      const reason = `${bytes} bytes, RabbitMQ accepts ${bytesMax}`
      if (bytes > bytesMax) this.settle(place, { status: 'oversized', reason })
    }
  }

  /** Ends the batch: every message without an outcome is unknown. Later answers change nothing. */
  giveUp(reason: string): void {
    if (this.done) return
    this.#left = 0
    this.#finish(this.#outcomes.map((outcome) => (outcome === PENDING ? { status: 'unknown', reason } : outcome)))
  }
}
