import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from './broker.ts'
import { createDatabase } from './database.ts'
import { relayOnce } from './relay.ts'
import { createLogger, loadSettings } from './settings.ts'

const settings = loadSettings()
const logger = createLogger('relay')
const db = createDatabase(settings.DATABASE_URL, 1)
const connection = await connect(settings.RABBITMQ_URL)
const channel = await connection.createConfirmChannel()

let stopping = false
process.once('SIGTERM', () => {
  stopping = true
})

logger.info('ready')
while (!stopping) {
  const published = await relayOnce({ db, channel, batchSize: settings.TEXTBOOK_BATCH })
  if (published > 0) logger.info('published', { count: published })
  else await sleep(settings.TEXTBOOK_POLL_MS)
}
await connection.close()
await db.destroy()
