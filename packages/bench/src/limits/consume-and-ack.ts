/** The limit of any worker: a process that takes MESSAGES from the work queue, acknowledges them, and leaves the queue. */
import { type ConsumeMessage, connect } from 'amqplib'
import { log } from '../queue/log.ts'
import { TOPOLOGY } from '../queue/queue.ts'

// The fastest of: 200 with an acknowledgement for each, 500 with one for 50, 1,000 with one for 100, and this.
const PREFETCH = 2_000
const ACKED_TOGETHER = 500

process.once('SIGTERM', () => process.exit(0))
const wanted = Number(process.env.MESSAGES)
const connection = await connect(process.env.RABBITMQ_URL ?? '', { noDelay: true })
const channel = await connection.createChannel()
await channel.prefetch(PREFETCH)
log('ready')
await new Promise<void>((resolve) => {
  let taken = 0
  const take = (message: ConsumeMessage | null) => {
    if (!message) return
    taken += 1
    if (taken % ACKED_TOGETHER === 0 || taken === wanted) channel.ack(message, true)
    if (taken === wanted) resolve()
  }
  channel.consume(TOPOLOGY.queue, take)
})
// Answered after what was acknowledged: the queue then has no consumer.
await channel.close()
