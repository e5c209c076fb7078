import { randomUUIDv7 } from 'node:crypto'
import { type CreatePaymentInput, createPayment, DEFAULT_MERCHANT_ID } from '@cashflow/domain'

type Level = 'debug' | 'info' | 'warn' | 'error'
type Fields = Readonly<Record<string, unknown>>
type TestLogger = Record<Level, (message: string, fields?: Fields) => void>

/** A logger that discards all lines. */
export const nullLogger: Readonly<TestLogger> = { debug() {}, info() {}, warn() {}, error() {} }

/** A logger that keeps all lines. `logged()` returns their messages, `linesOf(message)` the lines with this message. */
export function recordingLogger() {
  const lines: { level: Level; message: string; fields: Fields }[] = []
  const log =
    (level: Level) =>
    (message: string, fields: Fields = {}) =>
      void lines.push({ level, message, fields })
  const logger: TestLogger = { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
  return {
    logger,
    lines,
    logged: () => lines.map(({ message }) => message),
    linesOf: (wanted: string) => lines.filter(({ message }) => message === wanted),
  }
}

/** A PENDING payment of 1.00 USD with its `payment.created` event. Its reference is its id. */
export function aPayment(input: Partial<CreatePaymentInput> = {}): ReturnType<typeof createPayment> {
  const id = input.id ?? randomUUIDv7()
  const money = { amountMinor: 100n, currency: 'USD' } as const
  return createPayment({ merchantId: DEFAULT_MERCHANT_ID, reference: id, money, at: new Date(), ...input, id })
}

/** An outbox message of the topic `thing.happened`. Its key is its id. */
export function aMessage<Fields extends object>(fields?: Fields) {
  const messageId = randomUUIDv7()
  return { messageId, key: messageId, topic: 'thing.happened', payload: {} as unknown, ...fields }
}

/** An operator, as acts record one. */
export const OPERATOR = { actor: 'ann@ops', via: 'test' } as const
