import amqp, { type ChannelModel } from 'amqplib'

export const EXCHANGE = 'payments'
export const QUEUE = 'payments'

/** Connects, and declares a topic exchange and a queue that is as safe as the product's. */
export async function connect(url: string): Promise<ChannelModel> {
  const connection = await amqp.connect(url)
  const channel = await connection.createChannel()
  await channel.assertExchange(EXCHANGE, 'topic', { durable: true })
  await channel.assertQueue(QUEUE, { durable: true, arguments: { 'x-queue-type': 'quorum' } })
  await channel.bindQueue(QUEUE, EXCHANGE, 'payment.created')
  await channel.close()
  return connection
}
