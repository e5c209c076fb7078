import winston from 'winston'

export function createLogger(service: string): winston.Logger {
  return winston.createLogger({
    level: process.env.LOG_LEVEL ?? 'info',
    defaultMeta: { service },
    // Cheaper than timestamp() and json(), and the same lines.
    format: winston.format.printf((line) => JSON.stringify({ timestamp: new Date().toISOString(), ...line })),
    transports: [new winston.transports.Stream({ stream: process.stdout })],
  })
}
