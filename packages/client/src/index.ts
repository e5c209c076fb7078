export { type CashflowClient, type ClientOptions, createClient } from './client.ts'
export { ApiError, CashflowError, NoAnswerError, type Problem } from './errors.ts'
export type { EventsOptions } from './events.ts'
export type {
  Amount,
  CreatedPayment,
  Currency,
  EventPage,
  EventType,
  NewPayment,
  Payment,
  PaymentEvent,
  PaymentPage,
  PaymentStatus,
  WaitingFor,
} from './payment.ts'
export type { CreateOptions, ListOptions } from './payments.ts'
export type { CallOptions, Retry } from './send.ts'
