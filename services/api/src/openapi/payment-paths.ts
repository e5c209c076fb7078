import * as z from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { FEED_QUERY } from '../events/feed.ts'
import { idempotencyKeyHeader } from '../payments/idempotency-key.ts'
import { LIST_QUERY } from '../payments/list-payments.ts'
import { BODY_IN_ANY } from '../payments/payment-body.ts'
import { preferHeader } from '../payments/prefer.ts'
import { traceparentHeader } from '../trace-request.ts'
import { eventPage, payment, paymentEvents, paymentId, paymentPage } from './answers.ts'
import { HEADERS, optional } from './headers.ts'
import { answer, ifNoneMatch, keyed, unchanged } from './operations.ts'

const newPayment = BODY_IN_ANY.meta({ id: 'NewPayment', description: 'A payment to create.' })
const id = z.string().meta({ ...paymentId.meta(), param: { id: 'PaymentId' } })

const WAITED = {
  'Preference-Applied': optional(HEADERS['Preference-Applied']),
  'Retry-After': optional(HEADERS['Retry-After']),
}
/** Of a payment as it is now, which its client may keep and ask for again. */
const CURRENT = { headers: { ETag: HEADERS.ETag, ...WAITED }, cache: 'private, no-cache' } as const

export const PAYMENT_PATHS: ZodOpenApiPathsObject = {
  '/payments': {
    get: keyed({
      operationId: 'listPayments',
      summary: 'List payments',
      description:
        'Newest first. A list has every payment that was answered with 201 before it was asked for. A payment that cannot be shown is left out, so a page may be empty while `has_more` is true.',
      tags: ['Payments'],
      requestParams: { query: LIST_QUERY },
      responses: { 200: answer('A page of payments.', paymentPage) },
      problems: ['validation-error', 'invalid-cursor'],
    }),
    post: keyed({
      operationId: 'createPayment',
      summary: 'Create a payment',
      description:
        'After 201 the payment is stored, and will be settled. After a 503, or without an answer, send the same request again: with an `Idempotency-Key` it gets the same 201, and without one 409 `duplicate-reference` names the payment.',
      tags: ['Payments'],
      requestParams: {
        header: z.object({
          'Idempotency-Key': idempotencyKeyHeader,
          Prefer: preferHeader,
          traceparent: traceparentHeader,
        }),
      },
      requestBody: { required: true, content: { 'application/json': { schema: newPayment } } },
      responses: {
        201: answer('The payment is stored.', payment, {
          headers: {
            Location: HEADERS.Location,
            'Idempotent-Replayed': optional(HEADERS['Idempotent-Replayed']),
            ...WAITED,
          },
        }),
      },
      problems: [
        'validation-error',
        'duplicate-reference',
        'reference-mismatch',
        'payload-too-large',
        'unsupported-media-type',
        'idempotency-mismatch',
      ],
    }),
  },
  '/payments/{id}': {
    get: keyed({
      operationId: 'getPayment',
      summary: 'Get a payment',
      description:
        'The payment as it is now. `Retry-After` says when to ask again while it is PENDING. With `If-None-Match` the answer is 304 while nothing has changed.',
      tags: ['Payments'],
      requestParams: {
        path: z.object({ id }),
        header: z.object({ 'If-None-Match': ifNoneMatch, Prefer: preferHeader }),
      },
      responses: {
        200: answer('The payment.', payment, CURRENT),
        304: unchanged('The payment is as the client has it.', CURRENT),
      },
      problems: ['not-found'],
    }),
  },
  '/payments/{id}/cancel': {
    post: keyed({
      operationId: 'cancelPayment',
      summary: 'Cancel a payment',
      description:
        'Ends a payment that no attempt may have charged: it is FAILED with the `failure_code` `canceled`. Repeating it gets the same 200. A body is ignored.',
      tags: ['Payments'],
      requestParams: { path: z.object({ id }) },
      responses: { 200: answer('The payment is canceled.', payment) },
      problems: ['not-found', 'not-cancelable'],
    }),
  },
  '/test/payments/{id}/advance': {
    post: keyed({
      operationId: 'advancePayment',
      summary: 'Make due now what is scheduled for a payment',
      description:
        'In a sandbox only: a retry, a redrive or a look-up at the provider that waits for its time happens now. A live deployment answers 404. A body is ignored.',
      tags: ['Sandbox'],
      requestParams: { path: z.object({ id }) },
      responses: {
        200: answer('The payment, as it is now.', payment, {
          headers: { 'Retry-After': optional(HEADERS['Retry-After']) },
        }),
      },
      problems: ['not-found', 'not-advanceable'],
    }),
  },
  '/payments/{id}/events': {
    get: keyed({
      operationId: 'listPaymentEvents',
      summary: 'List the events of a payment',
      description: 'All that are committed, in the order of their sequence.',
      tags: ['Events'],
      requestParams: { path: z.object({ id }) },
      responses: { 200: answer('The events.', paymentEvents, { cache: 'private, no-cache' }) },
      problems: ['not-found', 'validation-error'],
    }),
  },
  '/events': {
    get: keyed({
      operationId: 'listEvents',
      summary: 'Read the next events',
      description:
        'Events of all payments, in an order that later events never change. Store `next_cursor` with what you did for the events, and send it as `after`: no event is skipped. Events do not expire, but an operator who deletes an old payment deletes its events.',
      tags: ['Events'],
      requestParams: { query: FEED_QUERY },
      responses: { 200: answer('A page of events.', eventPage, { cache: 'private, no-cache' }) },
      problems: ['validation-error', 'invalid-cursor'],
    }),
  },
}
