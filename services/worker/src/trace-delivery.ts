import type { Delivery } from '@cashflow/messaging'
import { type Span, SpanKind, type Spans } from '@cashflow/tracing'
import type { PaymentMessage } from './payment-message.ts'

export type BeginDelivery = (delivery: Delivery, message: PaymentMessage) => Span | undefined

/** Begins the span of a delivery's processing, by OpenTelemetry's conventions for messaging and RabbitMQ. */
export function createBeginDelivery(
  spans: Spans,
  { exchange, queue }: { exchange: string; queue: string },
): BeginDelivery {
  return ({ topic }, { paymentId, messageId, traceparent }) => {
    // A message that an operator publishes to the queue has the queue's name as its routing key.
    const destination = topic === queue ? queue : `${exchange}:${topic}:${queue}`
    return spans.child(`process ${destination}`, traceparent, {
      kind: SpanKind.CONSUMER,
      attributes: {
        'messaging.system': 'rabbitmq',
        'messaging.operation.name': 'process',
        'messaging.operation.type': 'process',
        'messaging.destination.name': destination,
        'messaging.rabbitmq.destination.routing_key': topic,
        'messaging.message.id': messageId,
        'cashflow.payment_id': paymentId,
      },
    })
  }
}
