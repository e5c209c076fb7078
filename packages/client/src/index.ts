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
export {
  type VerifyOptions,
  verifyWebhook,
  type WebhookHeaders,
} from './verify-webhook.ts'
export type {
  DeliveryStatus,
  NewWebhookEndpoint,
  NewWebhookReplay,
  WebhookAttempt,
  WebhookCheck,
  WebhookCheckCase,
  WebhookCheckName,
  WebhookCheckReport,
  WebhookCheckRequest,
  WebhookDelivery,
  WebhookDeliveryWithAttempts,
  WebhookEndpoint,
  WebhookEndpointChange,
  WebhookEndpointWithSecret,
  WebhookOrdering,
  WebhookPage,
  WebhookReplay,
} from './webhook.ts'
export type { CheckWebhook, PaymentWebhook, WebhookData, WebhookEvent } from './webhook-event.ts'
export {
  type WebhookMiddlewareOptions,
  type WebhookRequest,
  type WebhookResponse,
  webhookMiddleware,
} from './webhook-middleware.ts'
export { type WebhookRefusal, WebhookVerificationError } from './webhook-refusal.ts'
export type { DeliveryListOptions } from './webhooks.ts'
