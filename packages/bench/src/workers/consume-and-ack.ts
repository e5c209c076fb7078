/**
 * The limit of any worker: a process that consumes MESSAGES messages from the work queue, acknowledges them, and closes
 * its connection.
 */
import { defined } from '@cashflow/async'
import { log, takeMessages } from '../queue/queue.ts'

process.once('SIGTERM', () => process.exit(0))
log('ready')
await takeMessages(defined(process.env.RABBITMQ_URL, 'RABBITMQ_URL'), Number(process.env.MESSAGES), () => {})
// A signal in the middle of its own exit would count as a failure.
setInterval(() => {}, 60_000)
