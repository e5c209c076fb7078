import { EVENT_TYPES } from '@cashflow/domain'
import { CHECK_NAMES } from '@cashflow/webhook-sender'
import * as z from 'zod'
import { cursor, eventId, hasMore, integer, paymentId, stored, time } from './answers.ts'

const COUNT_MAX = 2_147_483_647

export const endpointId = paymentId.meta({ description: 'The id of a webhook endpoint, a UUID of version 7.' })

const types = z
  .array(z.enum(EVENT_TYPES))
  .min(1)
  .max(EVENT_TYPES.length)
  .nullable()
  .meta({ description: 'Types of the events that it gets. Null for all of them.' })

const endpointMembers = {
  id: endpointId,
  url: stored
    .min(1)
    .max(2_048)
    .meta({ examples: ['https://hooks.example.com/cashflow'] }),
  description: stored
    .max(255)
    .nullable()
    .meta({ examples: ['The shop'] }),
  types,
  ordering: z.enum(['payment', 'none']).meta({ description: 'Whether deliveries of a payment wait for each other.' }),
  enabled: z.boolean().meta({ description: 'False while nothing is sent to it.', examples: [true] }),
  disabled_reason: z.enum(['failing', 'gone', 'requested']).nullable().meta({
    description:
      '`failing`: it has failed for 120 hours. `gone`: it has answered 410. `requested`: its merchant or the operator has disabled it.',
  }),
  disabled_at: time('When it was disabled.').nullable(),
  missed_since: time(
    'Time of the last event before those that it missed while it was disabled. A replay without `after` delivers them.',
  ).nullable(),
  failing_since: time('The first failed attempt since its last answer 2xx.').nullable(),
  secret_rotates_until: time('Until when its former secret signs as well.').nullable(),
  created_at: time('When the endpoint was created.'),
}

export const endpoint = z
  .object(endpointMembers)
  .meta({ id: 'WebhookEndpoint', description: 'A URL of the merchant that events are sent to.' })

export const endpointWithSecret = z
  .object({
    ...endpointMembers,
    secret: z
      .string()
      .regex(/^whsec_[A-Za-z0-9+/]{43}=$/)
      .min(50)
      .max(50)
      .meta({
        description: 'Verifies signatures. No other answer shows it.',
        examples: [`whsec_${Buffer.alloc(32).toString('base64')}`],
      }),
  })
  .meta({ id: 'WebhookEndpointWithSecret', description: 'A webhook endpoint with its new secret.' })

const nextCursor = cursor
  .nullable()
  .meta({ description: 'Send it as `cursor` for the next page. Null on the last page.' })

const page = <Item extends z.ZodType>(item: Item) =>
  z.object({ data: z.array(item).max(100), has_more: hasMore, next_cursor: nextCursor })

export const endpointPage = page(endpoint).meta({
  id: 'WebhookEndpointPage',
  description: 'Webhook endpoints, the oldest first.',
})

const httpStatus = integer('The status of the answer. Null if there was none.', 100, 999, 200).nullable()
const error = stored
  .max(1_024)
  .nullable()
  .meta({ description: 'Why it failed.', examples: ['timeout: no answer within 20 s'] })

const deliveryMembers = {
  id: z
    .string()
    .regex(/^[1-9][0-9]*$/)
    .min(1)
    .max(19)
    .meta({ description: 'Counts up, with gaps.', examples: ['4711'] }),
  endpoint_id: endpointId,
  event_id: eventId,
  event_type: z.enum(EVENT_TYPES),
  payment_id: paymentId,
  sequence: integer('The place of the event among those of its payment.', 1, COUNT_MAX, 1),
  status: z.enum(['pending', 'waiting', 'succeeded', 'expired']).meta({
    description:
      '`waiting`: for an earlier event of the payment. `expired`: the last attempt has failed, and only a redelivery or a replay sends it again.',
  }),
  failed_attempts: integer('Failed attempts since it was created or asked for again.', 0, COUNT_MAX, 0),
  replay: z.boolean().meta({ description: 'True if it was asked for again.', examples: [false] }),
  next_attempt_at: time('When it is sent next. Null unless it is pending.').nullable(),
  last_attempt_at: time('When it was last sent.').nullable(),
  last_status: httpStatus,
  last_error: error,
  created_at: time('When the delivery was created.'),
  finished_at: time('When it succeeded or expired.').nullable(),
}

const delivery = z
  .object(deliveryMembers)
  .meta({ id: 'WebhookDelivery', description: 'An event on its way to an endpoint.' })

export const deliveryPage = page(delivery).meta({
  id: 'WebhookDeliveryPage',
  description: 'Deliveries of events to webhook endpoints.',
})

const attempt = z
  .object({
    at: time('When it began.'),
    duration_ms: integer('Its duration, in milliseconds.', 0, COUNT_MAX, 58),
    status: httpStatus,
    error,
    answer: stored
      .max(1_024)
      .nullable()
      .meta({ description: 'The first kilobyte of the answer.', examples: ['ok'] }),
  })
  .meta({ id: 'WebhookAttempt', description: 'One request to an endpoint.' })

export const deliveriesOfEvent = page(
  z
    .object({
      ...deliveryMembers,
      attempts_made: z.array(attempt).max(50).meta({ description: 'The last 50 attempts, in their order.' }),
    })
    .meta({ id: 'WebhookDeliveryWithAttempts', description: 'A delivery with its attempts.' }),
).meta({ id: 'WebhookDeliveriesOfEvent', description: 'All deliveries of an event, the oldest first.' })

export const replay = z
  .object({
    id: paymentId.meta({ description: 'The id of the replay, a UUID of version 7.' }),
    endpoint_id: endpointId,
    types,
    created_at: time('When the replay started. It ends with the events of that time.'),
  })
  .meta({ id: 'WebhookReplay', description: 'Past events that are delivered to an endpoint again.' })

const checkedRequest = z
  .object({
    status: httpStatus,
    error,
    outcome: z
      .string()
      .regex(/^[a-z]+$/)
      .min(1)
      .max(32)
      .nullable()
      .meta({ description: 'The header `Webhook-Outcome` of the answer.', examples: ['handled'] }),
    answer: stored
      .max(1_024)
      .nullable()
      .meta({ description: 'The first kilobyte of the answer.', examples: ['ok'] }),
    duration_ms: integer('Its duration, in milliseconds.', 0, COUNT_MAX, 12),
  })
  .meta({ id: 'WebhookCheckRequest', description: 'One request of a check.' })

const checkedCase = z
  .object({
    name: z.enum(CHECK_NAMES).meta({ description: 'What was sent.' }),
    expected: z.enum(['accepted', 'refused']).meta({ description: 'What a receiver should do: answer 2xx, or 400.' }),
    result: z.enum(['passed', 'failed', 'not_shown', 'not_tried']).meta({
      description:
        '`not_shown`: the answers do not show it. `not_tried`: a valid event was not accepted, or the check has ended before.',
    }),
    detail: stored
      .min(1)
      .max(1_024)
      .nullable()
      .meta({ description: 'What is wrong, and what to do.', examples: ['Answer: 413. Raise the limit of the body.'] }),
    requests: z.array(checkedRequest).max(2).meta({ description: 'In the order in which they were sent.' }),
  })
  .meta({ id: 'WebhookCheckCase', description: 'What a receiver did with one kind of request.' })

const checkReport = z
  .object({
    result: z
      .enum(['passed', 'failed', 'incomplete'])
      .meta({ description: '`incomplete`: nothing failed, and not all was tried.' }),
    slowest_ms: integer('Duration of the slowest request, in milliseconds.', 0, COUNT_MAX, 31).nullable(),
    cases: z
      .array(checkedCase)
      .min(1)
      .max(CHECK_NAMES.length)
      .meta({ description: 'In the order in which they were tried.' }),
  })
  .meta({ id: 'WebhookCheckReport', description: 'What a receiver wrongly took or refused, and how long it took.' })

export const check = z
  .object({
    id: paymentId.meta({ description: 'The id of the check, a UUID of version 7.' }),
    endpoint_id: endpointId,
    kind: z.enum(['check', 'ping']).meta({ description: '`ping`: one valid event only.' }),
    status: z.enum(['pending', 'finished']).meta({ description: '`pending`: it runs, or will run.' }),
    report_url: z
      .string()
      .regex(/^\/api\/v1\/webhook-endpoints\/[0-9a-f-]+\/checks\/[0-9a-f-]+$/)
      .min(106)
      .max(106)
      .meta({
        description: 'The path of this check. Ask it until the check is finished.',
        examples: [
          '/api/v1/webhook-endpoints/01a200e6-61da-7305-a53d-01a16fbc86b7/checks/01a200e6-61da-7305-a53d-01a16fbc86b8',
        ],
      }),
    created_at: time('When it was asked for.'),
    finished_at: time('When it finished.').nullable(),
    report: checkReport.nullable().meta({ description: 'Null until it is finished.' }),
  })
  .meta({ id: 'WebhookCheck', description: 'A check of the receiver behind an endpoint.' })
