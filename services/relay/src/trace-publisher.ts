import { defined } from '@cashflow/async'
import type { OutboxMessage, PublishOutcome } from '@cashflow/outbox'
import { isSampled, markFailed, readTraceparent, SpanKind, type Spans, traceparentOf } from '@cashflow/tracing'
import type { PassLoopOptions } from './passes.ts'

type RelayPublisher = PassLoopOptions['publisher']

/**
 * Records the messages that a publisher publishes: the time of each in the outbox, the time until its outcome, and the call
 * that they share, with a link to each. A message keeps its header `traceparent`: it is the place of the request that wrote
 * the message, and stays the same when the message is published again.
 */
export function tracePublisher(publisher: RelayPublisher, spans: Spans, exchange: string): RelayPublisher {
  return {
    whenReady: publisher.whenReady,
    redeclare: publisher.redeclare,
    async publish(messages, options) {
      const startedAt = Date.now()
      const outcomes = await publisher.publish(messages, options)
      try {
        record(messages, outcomes, startedAt)
      } catch {
        // A row that was written by hand may have anything as its headers. Its messages are published all the same.
      }
      return outcomes
    },
  }

  // Recorded afterwards: while the broker confirms thousands of messages, no span is held for each.
  function record(messages: readonly OutboxMessage[], outcomes: readonly PublishOutcome[], startedAt: number): void {
    const places: string[] = []
    for (const [index, message] of messages.entries()) {
      const place = readTraceparent(message.headers.traceparent)
      if (place === undefined || !isSampled(place)) continue
      if (message.mandatory) recordWait(message, place, startedAt)
      places.push(recordSend(message, place, startedAt, defined(outcomes[index], 'outcome of a message').status))
    }
    const attributes = {
      ...SEND,
      'messaging.destination.name': exchange,
      'messaging.batch.message_count': messages.length,
    }
    spans.batch(`send ${exchange}`, places, { kind: SpanKind.CLIENT, startTime: startedAt, attributes })?.end()
  }

  /** Of a message that a payment waits for. For others, the time between two spans shows it. */
  function recordWait({ createdAt }: OutboxMessage, place: string, startedAt: number): void {
    // The clock of PostgreSQL may be ahead of this machine's.
    const startTime = Math.min(createdAt.getTime(), startedAt)
    spans.child('outbox', place, { startTime })?.end(startedAt)
  }

  /** @returns the place of the span */
  function recordSend(
    { topic, messageId }: OutboxMessage,
    place: string,
    startedAt: number,
    status: PublishOutcome['status'],
  ): string {
    const destination = `${exchange}:${topic}`
    const span = spans.begin(`send ${destination}`, place, {
      kind: SpanKind.PRODUCER,
      startTime: startedAt,
      attributes: {
        ...SEND,
        'messaging.destination.name': destination,
        'messaging.rabbitmq.destination.routing_key': topic,
        'messaging.message.id': messageId,
      },
    })
    if (status !== 'confirmed') markFailed(span, status)
    span.end()
    return traceparentOf(span)
  }
}

/** By OpenTelemetry's conventions for messaging and RabbitMQ. */
const SEND = {
  'messaging.system': 'rabbitmq',
  'messaging.operation.name': 'send',
  'messaging.operation.type': 'send',
} as const
