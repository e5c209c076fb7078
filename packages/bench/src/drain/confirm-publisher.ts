/**
 * The limit of any relay: a process that publishes messages from its memory, waits for their confirms, and does nothing
 * else. At each SIGUSR2 it publishes the next of its COUNTS.
 */
import { on } from 'node:events'
import { defined } from '@cashflow/async'
import { connect } from 'amqplib'
import { createdMessages } from '../queue/messages.ts'
import { bodyOf, log, propertiesOf, TOPOLOGY } from '../queue/queue.ts'

// Maximum number of messages sent and not yet confirmed. The fastest of 256, 512, 1,024, 2,048 and 4,096.
const WINDOW = 2_048

process.once('SIGTERM', () => process.exit(0))
const connection = await connect(defined(process.env.RABBITMQ_URL, 'RABBITMQ_URL'), { noDelay: true })
const channel = await connection.createConfirmChannel()
const counts = defined(process.env.COUNTS, 'COUNTS').split(',').map(Number)
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
        const { topic, body, properties } = defined(messages[sent++], 'message left to send')
        if (!channel.publish(TOPOLOGY.exchange, topic, body, properties, answered)) return
      }
    }
    channel.on('drain', pump)
    pump()
  })
  channel.removeAllListeners('drain')
}
