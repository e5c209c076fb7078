import { type ConfirmChannel, IllegalOperationError } from 'amqplib/callback_api'
import type { Batch, OutboundMessage, PublishOutcome } from './batch.ts'
import type { OpenChannel } from './channel.ts'
import { errorMessage, messageBytesMax } from './errors.ts'
import type { Suspects } from './suspects.ts'

const CONFIRMED: PublishOutcome = { status: 'confirmed' }
const NACKED: PublishOutcome = { status: 'nacked' }

interface InFlight {
  readonly batch: Batch
  readonly index: number
  returned: string | undefined
}

/** What one confirm channel has sent and not yet heard of. */
export interface ConfirmSession {
  /** Counts messages of abandoned batches too: amqplib or the broker still holds them. */
  readonly inFlight: number
  /** The socket takes no more at the moment. */
  readonly congested: boolean
  /** The message in flight was sent alone, and nothing may be sent before its answer. */
  readonly holdsLone: boolean
  /**
   * Aborted when nothing but nacks has come for a topic for too long, and nothing is in flight. A channel to which RabbitMQ
   * has once said that a queue is full may never hear that the limit was lifted, and refuses from then on by itself.
   */
  readonly spent: AbortSignal
  /** Sends the batch's next message, and settles it at once if it cannot be sent. `alone`: nothing else is in flight. */
  sendNext(batch: Batch, alone?: boolean): void
  /**
   * Gives up every batch that has a message in flight. Only a culprit's batch goes on: the culprit is settled as rejected.
   * A message that is larger than the broker takes is settled as oversized. Returns whether there was a culprit.
   *
   * @param blamed whether the cause lies in what was sent
   */
  lose(cause: unknown, blamed: boolean): boolean
}

export interface ConfirmSessionOptions {
  exchange: string
  /** How long the broker may refuse all of a topic, in milliseconds, before the channel is spent. */
  refusedMaxMs: number
  suspects: Suspects
  /** Called after each confirm, when there is room again. */
  progressed: () => void
}

export function createConfirmSession(
  { channel }: OpenChannel<ConfirmChannel>,
  { exchange, refusedMaxMs, suspects, progressed }: ConfirmSessionOptions,
): ConfirmSession {
  const spent = new AbortController()
  // By topic, the oldest first: another one's queues may have room.
  const refusedSince = new Map<string, number>()
  // By delivery tag, hence in order of publishing.
  const inFlight = new Map<number, InFlight>()
  let lastTag = 0
  let congested = false
  /** Whether what was sent last was sent alone. */
  let lone = false

  function settle(tag: number, outcome: PublishOutcome): void {
    const sent = inFlight.get(tag)
    if (!sent) return
    inFlight.delete(tag)
    const message = messageOf(sent)
    const { topic } = message
    if (lone) suspects.clear(message, { confirmed: outcome === CONFIRMED })
    if (outcome !== NACKED) refusedSince.delete(topic)
    else if (!refusedSince.has(topic)) refusedSince.set(topic, performance.now())
    // An unroutable message is returned, and then confirmed all the same.
    sent.batch.settle(sent.index, sent.returned === undefined ? outcome : { status: 'returned', reason: sent.returned })
  }

  function answered(tag: number, multiple: boolean, outcome: PublishOutcome): void {
    if (multiple) {
      for (const earlier of inFlight.keys()) {
        if (earlier > tag) break
        settle(earlier, outcome)
      }
    } else settle(tag, outcome)
    const [[topic, since] = ['', Number.POSITIVE_INFINITY]] = refusedSince
    const refusedMs = performance.now() - since
    if (inFlight.size === 0 && refusedMs >= refusedMaxMs)
      spent.abort(new Error(`refused every ${topic} for ${Math.round(refusedMs)} ms`))
    progressed()
  }

  channel.on('ack', ({ deliveryTag, multiple }) => answered(deliveryTag, multiple, CONFIRMED))
  channel.on('nack', ({ deliveryTag, multiple }) => answered(deliveryTag, multiple, NACKED))
  channel.on('return', (message) => {
    const sent = inFlight.get(Number(message.properties.correlationId))
    const { replyCode, replyText } = message.fields as unknown as { replyCode: number; replyText: string }
    if (sent) sent.returned = `${replyCode} ${replyText}`
  })
  channel.on('drain', () => {
    congested = false
    progressed()
  })

  function accuse(reason: string): boolean {
    const [first, ...others] = inFlight.values()
    if (!first) return false
    if (!lone) suspects.add([first, ...others].map(messageOf), reason)
    else if (suspects.convict(messageOf(first), reason)) {
      inFlight.clear()
      first.batch.settle(first.index, { status: 'rejected', reason })
      return true
    }
    return false
  }

  return {
    get inFlight() {
      return inFlight.size
    },
    get congested() {
      return congested
    },
    get holdsLone() {
      return lone && inFlight.size > 0
    },
    spent: spent.signal,
    sendNext(batch, alone = false) {
      const index = batch.next++
      const message = batch.messages[index] as OutboundMessage
      try {
        const tag = lastTag + 1
        congested = !channel.publish(exchange, message.topic, Buffer.from(message.body), propertiesOf(message, tag))
        inFlight.set(tag, { batch, index, returned: undefined })
        lastTag = tag
        lone = alone
      } catch (error) {
        if (error instanceof IllegalOperationError) batch.giveUp(errorMessage(error))
        // No frame holds it (64 KiB of headers, 255 bytes of topic): nothing was written, and nothing ever will be.
        else batch.settle(index, { status: 'oversized', reason: errorMessage(error) })
      }
    },
    lose(cause, blamed) {
      const limit = messageBytesMax(cause)
      const culprit = blamed && limit === undefined && accuse(errorMessage(cause))
      for (const { batch } of inFlight.values()) {
        if (limit !== undefined) settleOversized(batch, limit)
        batch.giveUp(errorMessage(cause))
      }
      inFlight.clear()
      return culprit
    },
  }
}

function messageOf({ batch, index }: InFlight): OutboundMessage {
  return batch.messages[index] as OutboundMessage
}

/** Also what was not sent yet: it would cost the next channel. */
function settleOversized(batch: Batch, bytesMax: number): void {
  for (const [index, { body }] of batch.messages.entries()) {
    const bytes = Buffer.byteLength(body)
    if (bytes > bytesMax)
      batch.settle(index, { status: 'oversized', reason: `${bytes} bytes, and RabbitMQ takes ${bytesMax}` })
  }
}

function propertiesOf(message: OutboundMessage, tag: number) {
  return {
    mandatory: message.mandatory,
    persistent: true,
    contentType: 'application/json',
    messageId: message.messageId,
    type: message.topic,
    timestamp: Math.floor(message.createdAt.getTime() / 1000),
    headers: message.headers,
    // A return carries no delivery tag, and a message id may be in flight twice.
    correlationId: String(tag),
  }
}
