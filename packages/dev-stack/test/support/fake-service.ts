import { createServer } from 'node:http'

/** A service as the stack sees it: it logs JSON, logs `ready`, may answer GET /health, and stops at SIGTERM. */
const { CONSOLE_PORT, CONSOLE_TOKEN, SECRETS_KEY, WEBHOOK_ALLOW_PRIVATE } = process.env
const { PORT, HOST, DATABASE_URL, RABBITMQ_URL, LOG_LEVEL, ADMIN_PORT, FAKE_BROKEN, FAKE_DEAF } = process.env
const [service = 'fake'] = process.argv.slice(2)

const log = (message: string, fields = {}) =>
  console.log(JSON.stringify({ time: new Date().toISOString(), service, level: 'info', message, ...fields }))

if (FAKE_BROKEN === service) {
  console.error('I cannot work like this')
  process.exit(3)
}
log('settings', { DATABASE_URL, RABBITMQ_URL, LOG_LEVEL, PORT, ADMIN_PORT, SECRETS_KEY, WEBHOOK_ALLOW_PRIVATE })
if (service === 'api') log('console settings', { CONSOLE_PORT, CONSOLE_TOKEN })
const alive = setInterval(() => {}, 60_000)
const server = createServer((_, response) => response.end('{"status":"ok"}'))
if (service === 'api') await new Promise<void>((resolve) => server.listen(Number(PORT), HOST, resolve))
log('ready')

process.on('SIGTERM', () => {
  if (FAKE_DEAF === service) return
  log('stopped')
  clearInterval(alive)
  server.close()
  server.closeAllConnections()
})
