import type amqp from 'amqplib'
import type { Place } from './place.ts'
import { heard, openConnection } from './queue/connection.ts'

/** Hears of payments from a queue of its own, bound beside the worker's. */
export interface Listener {
  /** Resolves with when the first message about the payment on one of these topics came, as performance.now() tells it. */
  heard(topics: readonly string[], paymentId: string): Promise<number>
  close(): Promise<void>
}

const EXCHANGE = 'payments'

export async function createListener({ brokerUrl }: Pick<Place, 'brokerUrl'>, topics: string[]): Promise<Listener> {
  const connection = await openConnection(brokerUrl)
  const channel = heard(await connection.createChannel())
  await channel.assertExchange(EXCHANGE, 'topic', { durable: true })
  const { queue } = await channel.assertQueue('', { exclusive: true })
  for (const topic of topics) await channel.bindQueue(queue, EXCHANGE, topic)

  const arrivals = new Map<string, PromiseWithResolvers<number>>()
  function arrival(topic: string, paymentId: string): PromiseWithResolvers<number> {
    const key = `${topic} ${paymentId}`
    const known = arrivals.get(key) ?? Promise.withResolvers<number>()
    arrivals.set(key, known)
    return known
  }
  const onMessage = (message: amqp.ConsumeMessage | null) => {
    const at = performance.now()
    if (!message) return
    const { payment_id: paymentId } = JSON.parse(message.content.toString()) as { payment_id: string }
    arrival(message.fields.routingKey, paymentId).resolve(at)
  }
  await channel.consume(queue, onMessage, { noAck: true })
  return {
    heard: (topics, paymentId) => Promise.race(topics.map((topic) => arrival(topic, paymentId).promise)),
    close: () => connection.close(),
  }
}
