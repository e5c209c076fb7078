import { AMOUNT_MINOR_MAX, EVENT_TYPES, METADATA_LIMITS, REFERENCE_LENGTH_MAX, TRANSITIONS } from '@cashflow/domain'
import * as z from 'zod'
import { ALL_CURRENCIES } from '../payments/payment-body.ts'
import { AMOUNT_RANGE } from '../payments/payment-body-document.ts'
import { OVERVIEW } from '../root.ts'

// What the API answers. The contract test validates real answers with these, and takes no member that is not here.

/** A line of text for people, such as a detail. */
export const text = z
  .string()
  .regex(/^\P{Cc}+$/u)
  .min(1)
  .max(4_096)

/** As stored, so also what POST would refuse today. */
export const stored = z.string().regex(/^[\s\S]*$/)

export const paymentId = z.string().meta({
  description: 'The id of a payment, a UUID of version 7.',
  format: 'uuid',
  minLength: 36,
  maxLength: 36,
  examples: ['01a200e6-61da-7305-a53d-01a16fbc86b7'],
})

export const time = (description: string) =>
  z.string().meta({
    description,
    format: 'date-time',
    minLength: '2026-11-22T01:37:08Z'.length,
    maxLength: 35,
    examples: ['2026-11-22T01:37:08.058Z'],
  })

export const status = z.enum(Object.keys(TRANSITIONS) as (keyof typeof TRANSITIONS)[]).meta({
  id: 'PaymentStatus',
  description: 'PENDING until the payment is settled. SUCCESS and FAILED are final.',
})

export const integer = (description: string, minimum: number, maximum: number, example: number) =>
  z
    .int()
    .min(minimum)
    .max(maximum)
    .meta({ description, format: 'int64', examples: [example] })

export const members = {
  id: paymentId,
  amount: z.number().meta({
    override: AMOUNT_RANGE,
    description:
      'A JSON number with all decimals of the currency, such as `100.50`. Every JSON parser holds it exactly.',
    examples: [100.5],
  }),
  amount_minor: integer('The amount in minor units, such as cents.', 1, Number(AMOUNT_MINOR_MAX), 10_050),
  currency: z.enum(ALL_CURRENCIES).meta({ description: 'ISO 4217 code.', examples: ['USD'] }),
  reference: stored
    .min(1)
    .max(REFERENCE_LENGTH_MAX)
    .meta({ examples: ['REF-001'] }),
  status,
  created_at: time('When the payment was created.'),
}

export const failureCode = stored
  .min(1)
  .max(255)
  .meta({ examples: ['card_declined'] })

export const waitingFor = z
  .enum(['queue', 'worker', 'provider', 'retry', 'pending', 'operator'])
  .meta({ id: 'WaitingFor', description: 'What the payment waits for while it is PENDING.' })

export const nextActionAt = time(
  'When something happens to the payment at the latest. Left out while it waits for an operator.',
)

export const payment = z
  .object({
    ...members,
    failure_code: failureCode
      .optional()
      .meta({ description: 'Why the payment FAILED. `canceled` if the merchant canceled it.' }),
    waiting_for: waitingFor.optional(),
    next_action_at: nextActionAt.optional(),
    metadata: z
      .record(stored.min(1).max(METADATA_LIMITS.nameLengthMax), stored.max(METADATA_LIMITS.valueLengthMax))
      .meta({ description: 'As sent. Left out if there are no pairs.', maxProperties: METADATA_LIMITS.pairsMax })
      .optional(),
  })
  .meta({ id: 'Payment', description: 'A payment.' })

export const eventId = z
  .string()
  .regex(/^evt_[0-9a-f-]{36}_[1-9][0-9]*$/)
  .min(42)
  .max(64)
  .meta({ examples: ['evt_01a200e6-61da-7305-a53d-01a16fbc86b7_1'] })

const event = z
  .object({
    id: eventId,
    type: z.enum(EVENT_TYPES),
    sequence: integer('Counts the events of the payment from 1.', 1, 2_147_483_647, 1),
    previous_event_id: eventId.nullable().meta({ description: 'The event before it, of the same payment.' }),
    payment: z
      .object(members)
      .nullable()
      .meta({ description: 'The payment with the status that the event gave it, or null if it is gone.' }),
    failure_code: failureCode.nullable().meta({ description: 'Why the payment failed.' }),
    actor: z.enum(['api', 'worker', 'operator']),
    request_id: stored
      .max(128)
      .nullable()
      .meta({ description: 'The `Request-Id` of the request that created the payment.' }),
    created_at: time('When the event happened.'),
  })
  .meta({
    id: 'Event',
    description:
      'What happened to a payment. An event never changes, except in its `payment`: the `reference` is the present one, and it is null once the payment is gone.',
  })

export const hasMore = z.boolean().meta({ description: 'True if there are more now.', examples: [false] })
export const cursor = z
  .string()
  .regex(/^[A-Za-z0-9_-]+$/)
  .min(1)
  .max(512)
  .meta({
    examples: [
      'AeyiapKdIdE-A14jGq-5HNaWSPFxIC9Hi7t5Tadgch9CWyI3NzEzODQ1OTAxNjAxMTEwMTI4LzAwMDAwMDAxIiwiODExIiwiMSIsIjE3OTYwMTk3NjY2NTkiXQ',
    ],
  })

export const paymentPage = z
  .object({
    data: z.array(payment).max(100),
    has_more: hasMore,
    next_cursor: cursor
      .nullable()
      .meta({ description: 'Send it as `cursor` for the next page. Null on the last page.' }),
  })
  .meta({ id: 'PaymentPage', description: 'Payments, newest first.' })

export const eventPage = z
  .object({
    data: z.array(event).max(100),
    has_more: hasMore,
    next_cursor: cursor.meta({ description: 'Send it as `after` for later events, also after the last one.' }),
    delayed_ms: integer(
      'Age of the first event that is committed and that no page shows yet, of any type, in milliseconds. 0 without one. Events of later pages do not count.',
      0,
      Number.MAX_SAFE_INTEGER,
      0,
    ),
  })
  .meta({ id: 'EventPage', description: 'Events in an order that later events never change.' })

export const paymentEvents = z
  .object({ data: z.array(event).min(1).max(10_000) })
  .meta({ id: 'PaymentEvents', description: 'All events of a payment, in the order of their sequence.' })

export const health = z
  .object({ status: z.literal('ok') })
  .meta({ id: 'Health', description: 'The API can take payments.' })

const path = z
  .string()
  .regex(/^\/[\w./-]*$/)
  .min(1)
  .max(64)
const example = (name: keyof typeof OVERVIEW) => ({ examples: [OVERVIEW[name]] })

export const overview = z
  .object({
    name: text.meta(example('name')),
    payments: path.meta(example('payments')),
    events: path.meta(example('events')),
    health: path.meta(example('health')),
    documentation: path.meta(example('documentation')),
    openapi: path.meta(example('openapi')),
  })
  .meta({ id: 'Overview', description: 'Where everything is.' })

export const page = z
  .string()
  .regex(/^<!doctype html>/)
  .max(65_536)
