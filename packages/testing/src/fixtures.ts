import { randomUUIDv7 } from 'node:crypto'
import { type CreatePaymentInput, createPayment, DEFAULT_MERCHANT_ID } from '@cashflow/domain'

export interface LoggedLine {
  level: 'debug' | 'info' | 'warn' | 'error'
  message: string
  fields: Readonly<Record<string, unknown>>
}

type Log = (message: string, fields?: Readonly<Record<string, unknown>>) => void

export interface TestLogger {
  debug: Log
  info: Log
  warn: Log
  error: Log
}

/** A logger that discards all lines. */
export const nullLogger: Readonly<TestLogger> = { debug() {}, info() {}, warn() {}, error() {} }

/** A logger that keeps all lines. `logged()` returns their messages. */
export function recordingLogger(): { logger: TestLogger; lines: LoggedLine[]; logged(): string[] } {
  const lines: LoggedLine[] = []
  const log =
    (level: LoggedLine['level']): Log =>
    (message, fields = {}) =>
      void lines.push({ level, message, fields })
  return {
    logger: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    lines,
    logged: () => lines.map(({ message }) => message),
  }
}

/** A PENDING payment of 1.00 USD with its `payment.created` event. Its reference is its id. */
export function aPayment(input: Partial<CreatePaymentInput> = {}): ReturnType<typeof createPayment> {
  const id = input.id ?? randomUUIDv7()
  const money = { amountMinor: 100n, currency: 'USD' } as const
  return createPayment({ merchantId: DEFAULT_MERCHANT_ID, reference: id, money, at: new Date(), ...input, id })
}

/** An outbox message of the topic `test.created`. Its key is its id. */
export function aMessage<Fields extends object>(fields?: Fields) {
  const messageId = randomUUIDv7()
  return { messageId, key: messageId, topic: 'test.created', payload: {}, ...fields }
}
