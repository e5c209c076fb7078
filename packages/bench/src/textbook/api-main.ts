import type { AddressInfo } from 'node:net'
import { createApp } from './api.ts'
import { createDatabase } from './database.ts'
import { createLogger, loadSettings } from './settings.ts'

const settings = loadSettings()
const logger = createLogger('api')
const db = createDatabase(settings.DATABASE_URL, settings.TEXTBOOK_POOL)
const server = createApp(db, logger).listen(settings.PORT, '127.0.0.1', () => {
  logger.info('listening', { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  logger.info('ready')
})

process.once('SIGTERM', () => {
  server.close(async () => {
    await db.destroy()
    process.exit(0)
  })
  server.closeIdleConnections()
})
