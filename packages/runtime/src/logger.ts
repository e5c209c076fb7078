import type { Writable } from 'node:stream'
import winston from 'winston'
import { createLogOutput } from './log-output.ts'
import { redact } from './redact.ts'

export type LogFields = Readonly<Record<string, unknown>>

/** Logs a message with facts as fields in snake_case: `logger.info('payment settled', { payment_id })`. */
export type Logger = Record<'debug' | 'info' | 'warn' | 'error', (message: string, fields?: LogFields) => void>

export interface LoggerOptions {
  service: string
  level: 'error' | 'warn' | 'info' | 'debug'
  /** Default: standard output. A line is a JSON object, or readable text on a terminal. */
  stream?: Writable & { isTTY?: boolean }
}

/**
 * Every line passes `redact`, so no password and no API key reaches the output. A log that cannot be written stops no process: standard
 * error shows the reason. When the log can be written again, it shows the number of lost lines.
 */
export function createLogger({ service, level, stream = process.stdout }: LoggerOptions): Logger {
  const output = createLogOutput(stream, {
    onBroken: (reason) => void process.stderr.write(`${service}: the log cannot be written: ${reason}; going on\n`),
    onRecovered: (lines, reason) => write('error')('log lines were lost', { lines_since_start: lines, reason }),
  })
  const logger = winston.createLogger({
    level,
    format: stream.isTTY ? readable : json,
    transports: [new winston.transports.Stream({ stream: output })],
  })
  const write = (at: string) => (message: string, fields?: LogFields) => {
    if (logger.isLevelEnabled(at))
      logger.log({ ...(redact(fields ?? {}) as LogFields), service, level: at, message: String(redact(message)) })
  }
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
}

const json = winston.format.printf(({ service, level, message, ...fields }) =>
  JSON.stringify({ time: new Date().toISOString(), service, level, message, ...fields }, bigintAsText),
)

const readable = winston.format.combine(
  winston.format.colorize({ level: true }),
  winston.format.printf(({ service, level, message, ...fields }) => {
    const time = new Date().toISOString().slice(11, 23)
    const facts = Object.entries(fields).map(([name, value]) => `${name}=${inline(value)}`)
    return [time, service, level, message, ...facts].join(' ')
  }),
)

function inline(value: unknown): string {
  return typeof value === 'string' && !/\s/.test(value) ? value : (JSON.stringify(value, bigintAsText) ?? 'undefined')
}

function bigintAsText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value
}
