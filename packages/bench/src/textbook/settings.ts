import winston from 'winston'
import * as z from 'zod'

const settings = z.object({
  DATABASE_URL: z.string(),
  RABBITMQ_URL: z.string(),
  PORT: z.coerce.number().default(0),
  PROVIDER_DELAY_MS: z.coerce.number().default(0),
  PROVIDER_SUCCESS_RATE: z.coerce.number().default(0.7),
  TEXTBOOK_POOL: z.coerce.number().default(20),
  TEXTBOOK_BATCH: z.coerce.number().default(500),
  TEXTBOOK_POLL_MS: z.coerce.number().default(20),
})

export function loadSettings() {
  return settings.parse(process.env)
}

export function createLogger(service: string): winston.Logger {
  return winston.createLogger({
    level: process.env.LOG_LEVEL ?? 'info',
    defaultMeta: { service },
    // Cheaper than timestamp() and json(), with the same lines.
    format: winston.format.printf((line) => JSON.stringify({ timestamp: new Date().toISOString(), ...line })),
    transports: [new winston.transports.Stream({ stream: process.stdout })],
  })
}
