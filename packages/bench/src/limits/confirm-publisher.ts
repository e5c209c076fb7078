/**
 * The limit of any relay: a process that publishes messages which it holds in memory, waits for their confirms, and does
 * nothing else. At each SIGUSR2 it publishes as many as the next one of its COUNTS says.
 */
import { on } from 'node:events'
import { connect } from 'amqplib'
import { log } from '../queue/log.ts'
import { createdMessages } from '../queue/messages.ts'
import { bodyOf, propertiesOf } from '../queue/properties.ts'
import { TOPOLOGY } from '../queue/queue.ts'

// Sent and not yet confirmed. The fastest of 256, 512, 1,024, 2,048 and 4,096.
const WINDOW = 2_048

process.once('SIGTERM', () => process.exit(0))
const connection = await connect(process.env.RABBITMQ_URL ?? '', { noDelay: true })
const channel = await connection.createConfirmChannel()
const counts = (process.env.COUNTS ?? '').split(',').map(Number)
const asked = on(process, 'SIGUSR2')
log('ready')
for (const count of counts) {
  await asked.next()
  await publish(count)
}

async function publish(count: number): Promise<void> {
  const now = new Date()
  const messages = [...createdMessages(count)].flat().map((message) => ({
    topic: message.topic,
    body: bodyOf(message),
    properties: propertiesOf(message, now),
  }))
  let sent = 0
  let confirmed = 0
  await new Promise<void>((resolve, reject) => {
    const answered = (error: unknown) => {
      if (error) return reject(error)
      confirmed += 1
      if (confirmed === count) resolve()
      else pump()
    }
    const pump = () => {
      while (sent < count && sent - confirmed < WINDOW) {
        const { topic, body, properties } = messages[sent++] as (typeof messages)[number]
        if (!channel.publish(TOPOLOGY.exchange, topic, body, properties, answered)) return
      }
    }
    channel.on('drain', pump)
    pump()
  })
  channel.removeAllListeners('drain')
}
