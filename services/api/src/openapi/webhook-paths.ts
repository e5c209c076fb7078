import * as z from 'zod'
import type { ZodOpenApiPathsObject } from 'zod-openapi'
import { ENDPOINT_BODY, ENDPOINT_CHANGE, ROTATION_BODY } from '../webhooks/endpoint-body.ts'
import { REDELIVERY_BODY } from '../webhooks/event-deliveries.ts'
import { DELIVERY_LIST_QUERY, EVENT_ID_DOCUMENT } from '../webhooks/list-deliveries.ts'
import { ENDPOINT_LIST_QUERY } from '../webhooks/read-endpoints.ts'
import { REPLAY_BODY } from '../webhooks/start-replay.ts'
import { HEADERS } from './headers.ts'
import { answer, keyed, unchanged } from './operations.ts'
import {
  check,
  deliveriesOfEvent,
  deliveryPage,
  endpoint,
  endpointId,
  endpointPage,
  endpointWithSecret,
  replay,
} from './webhook-answers.ts'

const ofEndpoint = { path: z.object({ id: z.string().meta({ ...endpointId.meta(), param: { id: 'EndpointId' } }) }) }
const ofCheck = {
  path: ofEndpoint.path.extend({
    check: z
      .string()
      .meta({ ...endpointId.meta(), description: 'The id of a check, a UUID of version 7.', param: { id: 'CheckId' } }),
  }),
}
const ofEvent = {
  path: z.object({
    id: z.string().meta({
      description: 'The id of an event.',
      examples: ['evt_01a200e6-61da-7305-a53d-01a16fbc86b7_1'],
      override: EVENT_ID_DOCUMENT,
      param: { id: 'EventId' },
    }),
  }),
}

/** The body of a request, which may be left out if each of its members may. */
const body = (schema: z.ZodType, { required = true } = {}) => ({
  required,
  content: { 'application/json': { schema } },
})

const READING = ['webhooks-not-configured'] as const
const SENDING = [...READING, 'validation-error', 'payload-too-large', 'unsupported-media-type'] as const
const tags: [string] = ['Webhooks']

export const WEBHOOK_PATHS: ZodOpenApiPathsObject = {
  '/webhook-endpoints': {
    get: keyed({
      operationId: 'listWebhookEndpoints',
      summary: 'List webhook endpoints',
      description: 'The oldest first, without their secrets.',
      tags,
      requestParams: { query: ENDPOINT_LIST_QUERY },
      responses: { 200: answer('A page of endpoints.', endpointPage) },
      problems: [...READING, 'validation-error', 'invalid-cursor'],
    }),
    post: keyed({
      operationId: 'createWebhookEndpoint',
      summary: 'Create a webhook endpoint',
      description:
        'It gets every event that is committed after it was created, and perhaps a few from just before. A merchant has at most 16 endpoints. An `Idempotency-Key` is ignored: a repeated request creates another endpoint.',
      tags,
      requestBody: body(ENDPOINT_BODY.meta({ id: 'NewWebhookEndpoint', description: 'A webhook endpoint to create.' })),
      responses: {
        201: answer('The endpoint with its secret.', endpointWithSecret, { headers: { Location: HEADERS.Location } }),
      },
      problems: [...SENDING, 'url-refused', 'endpoint-limit'],
    }),
  },
  '/webhook-endpoints/{id}': {
    get: keyed({
      operationId: 'getWebhookEndpoint',
      summary: 'Get a webhook endpoint',
      description: 'As it is now, without its secret.',
      tags,
      requestParams: ofEndpoint,
      responses: { 200: answer('The endpoint.', endpoint) },
      problems: [...READING, 'not-found'],
    }),
    patch: keyed({
      operationId: 'changeWebhookEndpoint',
      summary: 'Change a webhook endpoint',
      description:
        'Members that are left out stay as they are. Types count from the next event that is read. Once enabled, the endpoint gets later events, and deliveries that are not finished go on. A replay delivers what it missed.',
      tags,
      requestParams: ofEndpoint,
      requestBody: body(
        ENDPOINT_CHANGE.meta({ id: 'WebhookEndpointChange', description: 'Members of an endpoint to change.' }),
      ),
      responses: { 200: answer('The endpoint.', endpoint) },
      problems: [...SENDING, 'url-refused', 'not-found'],
    }),
    delete: keyed({
      operationId: 'deleteWebhookEndpoint',
      summary: 'Delete a webhook endpoint',
      description:
        'Nothing is sent to it any more, and its deliveries are not listed any more. A repeated request gets 404. A body is ignored.',
      tags,
      requestParams: ofEndpoint,
      responses: { 204: unchanged('The endpoint is deleted.') },
      problems: [...READING, 'not-found'],
    }),
  },
  '/webhook-endpoints/{id}/rotate-secret': {
    post: keyed({
      operationId: 'rotateWebhookSecret',
      summary: 'Replace the secret of a webhook endpoint',
      description:
        'The former secret signs as well during the overlap. Another rotation during the overlap replaces the new secret and keeps the former one, so repeat the request if its answer got lost.',
      tags,
      requestParams: ofEndpoint,
      requestBody: body(
        ROTATION_BODY.meta({ id: 'WebhookSecretRotation', description: 'How long two secrets sign.' }),
        { required: false },
      ),
      responses: { 200: answer('The endpoint with its new secret.', endpointWithSecret) },
      problems: [...SENDING, 'not-found'],
    }),
  },
  '/webhook-endpoints/{id}/replay': {
    post: keyed({
      operationId: 'replayWebhooks',
      summary: 'Deliver past events again',
      description:
        'Delivers events again that were committed when the replay starts, also those that were delivered before. New events go first. A few events from before `after` may come too.',
      tags,
      requestParams: ofEndpoint,
      requestBody: body(REPLAY_BODY.meta({ id: 'NewWebhookReplay', description: 'Which events to deliver.' }), {
        required: false,
      }),
      responses: { 202: answer('The replay has started.', replay) },
      problems: [...SENDING, 'not-found', 'endpoint-disabled', 'nothing-missed', 'replay-running'],
    }),
  },
  '/webhook-endpoints/{id}/check': {
    post: keyed({
      operationId: 'checkWebhookEndpoint',
      summary: 'Check the receiver behind a webhook endpoint',
      description:
        'Sends it valid, forged, stale, repeated, unknown, large and reordered events, and reports what it wrongly took or refused. All have the type `webhook.check`, or one that begins with it, and name no payment. While a check is not finished, a repeated request gets that one. A body is ignored.',
      tags,
      requestParams: ofEndpoint,
      responses: { 202: answer('The check will run.', check, { headers: { Location: HEADERS.Location } }) },
      problems: [...READING, 'not-found', 'check-limit'],
    }),
  },
  '/webhook-endpoints/{id}/ping': {
    post: keyed({
      operationId: 'pingWebhookEndpoint',
      summary: 'Send a webhook endpoint one valid event',
      description: 'The event has the type `webhook.check`. The report says what became of it. A body is ignored.',
      tags,
      requestParams: ofEndpoint,
      responses: { 202: answer('The event will be sent.', check, { headers: { Location: HEADERS.Location } }) },
      problems: [...READING, 'not-found', 'check-limit'],
    }),
  },
  '/webhook-endpoints/{id}/checks/{check}': {
    get: keyed({
      operationId: 'getWebhookCheck',
      summary: 'Get the report of a check',
      description: 'Reports are kept for as long as deliveries.',
      tags,
      requestParams: ofCheck,
      responses: { 200: answer('The check, with its report once it is finished.', check) },
      problems: [...READING, 'not-found'],
    }),
  },
  '/webhook-deliveries': {
    get: keyed({
      operationId: 'listWebhookDeliveries',
      summary: 'List deliveries of events',
      description: 'The newest first. The deliveries of a deleted endpoint are not listed.',
      tags,
      requestParams: { query: DELIVERY_LIST_QUERY },
      responses: { 200: answer('A page of deliveries.', deliveryPage) },
      problems: [...READING, 'validation-error', 'invalid-cursor'],
    }),
  },
  '/events/{id}/deliveries': {
    get: keyed({
      operationId: 'listEventDeliveries',
      summary: 'List the deliveries of an event',
      description: 'All of them, with their attempts.',
      tags,
      requestParams: ofEvent,
      responses: { 200: answer('The deliveries.', deliveriesOfEvent) },
      problems: [...READING, 'not-found', 'validation-error'],
    }),
  },
  '/events/{id}/redeliver': {
    post: keyed({
      operationId: 'redeliverEvent',
      summary: 'Deliver an event again',
      description:
        'Makes its deliveries due now, also finished ones, with a new schedule. One that is being sent, or that waits for an earlier event, stays as it is.',
      tags,
      requestParams: ofEvent,
      requestBody: body(
        REDELIVERY_BODY.meta({ id: 'WebhookRedelivery', description: 'Where to deliver the event again.' }),
        { required: false },
      ),
      responses: { 202: answer('The deliveries of the event.', deliveryPage) },
      problems: [...SENDING, 'not-found'],
    }),
  },
}
