/**
 * The limit of any worker: a process that consumes MESSAGES messages from the work queue, acknowledges them, and
 * leaves.
 */
import { defined } from '@cashflow/async'
import { type ConsumeMessage, connect } from 'amqplib'
import { log, TOPOLOGY } from '../queue/queue.ts'

// The fastest of four settings. The others: 200 with an acknowledgement for each, 500 with one for 50, and 1,000 with
// one for 100.
const PREFETCH = 2_000
const ACKED_TOGETHER = 500

process.once('SIGTERM', () => process.exit(0))
const wanted = Number(process.env.MESSAGES)
const connection = await connect(defined(process.env.RABBITMQ_URL, 'RABBITMQ_URL'), { noDelay: true })
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
// The broker answers this after the acknowledgements. The queue has no consumer then.
await channel.close()
