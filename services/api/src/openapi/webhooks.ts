import { EVENT_TYPES } from '@cashflow/domain'
import { CHECK_NAMES } from '@cashflow/webhook-sender'
import * as z from 'zod'
import type { ZodOpenApiPathItemObject } from 'zod-openapi'
import { eventId, failureCode, integer, members, stored, time } from './answers.ts'

// What services/webhooks sends. Its own tests compare what it sends with this document.

const data = z
  .object({
    ...members,
    failure_code: failureCode.optional().meta({ description: 'Why the payment FAILED.' }),
    sequence: integer('Counts the events of the payment from 1.', 1, 2_147_483_647, 1),
    previous_event_id: eventId
      .nullable()
      .meta({ description: 'The event before it, of the same payment. A receiver sees a gap by it.' }),
    request_id: stored
      .max(128)
      .nullable()
      .meta({ description: 'The `Request-Id` of the request that created the payment.' }),
    api_version: z.literal('v1'),
  })
  .meta({ id: 'WebhookData', description: 'The payment as the event left it.' })

const headers = z.object({
  'webhook-id': eventId.meta({ description: 'The id of the event, the same for each attempt. Handle each id once.' }),
  'webhook-timestamp': z
    .string()
    .regex(/^[0-9]+$/)
    .min(10)
    .max(12)
    .meta({ description: 'When this attempt began, in seconds since 1970.', examples: ['1796019766'] }),
  'webhook-signature': z
    .string()
    .regex(/^v1,[A-Za-z0-9+/]{43}=( v1,[A-Za-z0-9+/]{43}=)?$/)
    .min(47)
    .max(95)
    .meta({
      description:
        'HMAC-SHA256 of `<webhook-id>.<webhook-timestamp>.<body>` with the secret of the endpoint, as Standard Webhooks 1.0.0 has it. Two of them while the secret rotates.',
      examples: [`v1,${Buffer.alloc(32).toString('base64')}`],
    }),
})

const pascalCase = (type: string) => type.replaceAll(/(?:^|[._])(\w)/g, (_match, first: string) => first.toUpperCase())

interface Sent {
  readonly description: string
  readonly header: z.ZodObject
  readonly body: z.ZodObject
}

/** @param type of the event, or what all types begin with */
const entry = (type: string, { description, header, body }: Sent): [string, ZodOpenApiPathItemObject] => [
  type.replaceAll(/[._]/g, '-'),
  {
    post: {
      operationId: `receive${pascalCase(type)}`,
      summary: `Receive ${type}`,
      description,
      tags: ['Webhooks'],
      security: [],
      requestParams: { header },
      requestBody: {
        required: true,
        content: { 'application/json': { schema: body.meta({ ...body.meta(), id: `${pascalCase(type)}Webhook` }) } },
      },
      responses: { '2XX': { description: 'The event is received.' } },
    },
  },
]

const ofPayments = EVENT_TYPES.map((type) =>
  entry(type, {
    description:
      'Answer 2xx within 20 seconds once the event is stored. Any other answer is a failure, and the event is sent again later. 410 disables the endpoint.',
    header: headers,
    body: z
      .object({ type: z.literal(type), timestamp: time('When the event happened.'), data })
      .meta({ description: `What an endpoint gets for an event of the type ${type}.` }),
  }),
)

const checkData = z
  .object({
    id: z.uuidv4().meta({
      description: 'In place of the id of a payment. No payment has it: it is a UUID of version 4.',
      minLength: 36,
      maxLength: 36,
      examples: ['4f0c6c1e-54f1-4c5f-9d0b-6f4d6b0f1c7a'],
    }),
    sequence: integer('Counts the events with this id from 1.', 1, 10, 1),
    previous_event_id: eventId.nullable().meta({ description: 'The event before it, with the same id.' }),
    check: z
      .enum(CHECK_NAMES)
      .exclude(['answer_time'])
      .meta({ description: 'The case of the report to which the request belongs.' }),
    padding: stored
      .max(1_000_000)
      .optional()
      .meta({ description: 'Makes the body large.', examples: ['xxxx'] }),
    note: stored
      .max(255)
      .optional()
      .meta({ description: 'Text with escapes in JSON.', examples: ['café'] }),
    number: z.literal(1).optional().meta({ description: 'A number that JSON can write in several ways.' }),
    api_version: z.literal('v1'),
  })
  .meta({ id: 'WebhookCheckData', description: 'Names no payment.' })

const checkHeaders = headers.extend({
  'webhook-timestamp': headers.shape['webhook-timestamp'].meta({
    description: 'When the request was sent, in seconds since 1970. Some requests have a time that is to be refused.',
  }),
  'webhook-signature': z
    .string()
    .regex(/^v[0-9]+a?,[A-Za-z0-9+/]*={0,2}( v[0-9]+a?,[A-Za-z0-9+/]*={0,2})*$/)
    .min(3)
    .max(255)
    .optional()
    .meta({
      description:
        'As for other events, or what is to be refused. One request has none, and one has unknown versions too.',
      examples: [`v1,${Buffer.alloc(32).toString('base64')}`],
    }),
})

const ofChecks = entry('webhook.check', {
  description:
    'Only checks and pings of an endpoint send it. Treat it as any other event: refuse a forged one with 400, and answer 2xx to others. The answer goes into the report, and changes nothing else.',
  header: checkHeaders,
  body: z
    .object({
      type: z
        .string()
        .regex(/^webhook\.check(\.[0-9a-f]+)?$/)
        .min(13)
        .max(64)
        .meta({ description: '`webhook.check`, or an unknown type that begins with it.', examples: ['webhook.check'] }),
      timestamp: time('When the request was signed.'),
      data: checkData,
    })
    .meta({ description: 'What a check of an endpoint sends.' }),
})

/** What the deployment sends to endpoints, for each type of event. */
export const WEBHOOKS: Record<string, ZodOpenApiPathItemObject> = Object.fromEntries([...ofPayments, ofChecks])
