import * as z from 'zod'
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from 'zod-openapi'
import { idempotencyKeyHeader } from '../payments/idempotency-key.ts'
import { BODY_IN_ANY } from '../payments/payment-body.ts'
import type { ProblemCode } from '../problem.ts'
import { health, overview, page, payment, paymentId } from './answers.ts'
import { HEADERS, headersOf, optional } from './headers.ts'
import { createProblemAnswers } from './problem-answers.ts'

const DESCRIPTION = `A payment gateway that cannot lose or double a payment. A payment that was answered with 201 reaches SUCCESS or FAILED once.

- The same paths without \`/api/v1\` answer alike. Every path with GET answers HEAD too. OPTIONS gets 204 with \`Allow\`, and a method that a path does not have gets 405 \`method-not-allowed\`.
- Errors are problem details (RFC 9457). Decide by \`code\`, which never changes. \`retryable: true\` means: send the same request again, unchanged.
- Version 1 only grows: clients have to ignore members and headers that they do not know.
- Where the operator has switched authentication off, no request needs a key.`

/** Problems that every request may get: from the connection, the headers, or a bug. */
const ANY: readonly ProblemCode[] = ['bad-request', 'request-timeout', 'headers-too-large', 'internal']
/** Problems that every request with a key may get besides. */
const KEYED: readonly ProblemCode[] = ['unauthenticated', 'forbidden', 'quota-exceeded', 'overloaded', 'unavailable']

const problemAnswers = createProblemAnswers()

type Operation = Omit<ZodOpenApiOperationObject, 'security'> & { operationId: string; summary: string; tags: [string] }

/** An operation that needs a key. `problems` are those that only this operation has. */
function keyed({
  problems = [],
  ...operation
}: Operation & { problems?: readonly ProblemCode[] }): ZodOpenApiOperationObject {
  const answers = problemAnswers([...ANY, ...KEYED, ...problems], { isPublic: false })
  return { ...operation, security: [{ key: [] }], responses: { ...operation.responses, ...answers } }
}

/** An operation without a key. */
function open({
  problems = [],
  ...operation
}: Operation & { problems?: readonly ProblemCode[] }): ZodOpenApiOperationObject {
  const answers = problemAnswers([...ANY, ...problems], { isPublic: true })
  return { ...operation, security: [], responses: { ...operation.responses, ...answers } }
}

/** The document is served by the deployment that it describes. */
const SERVER = { description: 'This deployment, a sandbox or production.', 'x-internal': false }
/** Paths that are not below /api/v1. */
const AT_ROOT = { servers: [{ url: '/', ...SERVER }] }
const keyedHeaders = { isPublic: false }
const openHeaders = { isPublic: true }
const ifNoneMatch = z
  .string()
  .regex(/^[ -~]*$/)
  .max(255)
  .optional()
  .meta({ description: 'ETags of what the client has.' })
const id = z.string().meta({ ...paymentId.meta(), param: { id: 'PaymentId' } })

const PATHS: ZodOpenApiPathsObject = {
  '/payments': {
    post: keyed({
      operationId: 'createPayment',
      summary: 'Create a payment',
      description:
        'After 201 the payment is stored, and will be settled. After a 503, or without an answer, send the same request again: with an `Idempotency-Key` it gets the same 201, and without one 409 `duplicate-reference` names the payment.',
      tags: ['Payments'],
      requestParams: { header: z.object({ 'Idempotency-Key': idempotencyKeyHeader }) },
      requestBody: {
        required: true,
        content: {
          'application/json': { schema: BODY_IN_ANY.meta({ id: 'NewPayment', description: 'A payment to create.' }) },
        },
      },
      responses: {
        201: {
          description: 'The payment is stored.',
          headers: headersOf(
            { Location: HEADERS.Location, 'Idempotent-Replayed': optional(HEADERS['Idempotent-Replayed']) },
            keyedHeaders,
          ),
          content: { 'application/json': { schema: payment } },
        },
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
      description: 'The payment as it is now.',
      tags: ['Payments'],
      requestParams: { path: z.object({ id }) },
      responses: {
        200: {
          description: 'The payment.',
          headers: headersOf({}, { isPublic: false, cache: 'private, no-cache' }),
          content: { 'application/json': { schema: payment } },
        },
      },
      problems: ['not-found'],
    }),
  },
  '/health': {
    ...AT_ROOT,
    get: open({
      operationId: 'getHealth',
      summary: 'Ask whether payments can be created',
      description: '503 `unavailable` after at most 2 seconds if PostgreSQL does not answer.',
      tags: ['Deployment'],
      responses: {
        200: {
          description: 'PostgreSQL answers.',
          headers: headersOf({}, openHeaders),
          content: { 'application/json': { schema: health } },
        },
      },
      problems: ['unavailable'],
    }),
  },
  '/openapi.json': {
    ...AT_ROOT,
    get: open({
      operationId: 'getDocument',
      summary: 'Get this document',
      description: 'With `If-None-Match` the answer is 304 while the document is the same.',
      tags: ['Deployment'],
      requestParams: { header: z.object({ 'If-None-Match': ifNoneMatch }) },
      responses: {
        200: {
          description: 'The document.',
          headers: headersOf({ ETag: HEADERS.ETag }, { isPublic: true, cache: 'no-cache' }),
          content: {
            'application/json': {
              schema: z.looseObject({ openapi: z.literal('3.1.1') }).meta({ id: 'OpenApiDocument' }),
            },
          },
        },
        304: {
          description: 'The client has the document already.',
          headers: headersOf({ ETag: HEADERS.ETag }, { isPublic: true, cache: 'no-cache' }),
        },
      },
    }),
  },
  '/': {
    ...AT_ROOT,
    get: open({
      operationId: 'getOverview',
      summary: 'Ask where everything is',
      description: 'As a page for a browser, else as JSON.',
      tags: ['Deployment'],
      responses: {
        200: {
          description: 'Where everything is.',
          headers: headersOf({}, openHeaders),
          content: { 'application/json': { schema: overview }, 'text/html': { schema: page } },
        },
      },
    }),
  },
}

/** The API's document, from the schemas that validate requests and the table of problems. */
export function createApiDocument() {
  return createDocument(
    {
      openapi: '3.1.1',
      info: {
        title: 'Cashflow',
        version: '1.0.0',
        summary: 'A payment gateway.',
        description: DESCRIPTION,
        license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
        contact: { name: 'The operator of this deployment' },
      },
      servers: [{ url: '/api/v1', ...SERVER }],
      tags: [
        { name: 'Deployment', description: 'The deployment and this document. They need no key.' },
        { name: 'Payments', description: 'Payments of the merchant that the key belongs to.' },
      ],
      security: [{ key: [] }],
      paths: PATHS,
      components: {
        securitySchemes: {
          key: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'cf_test_… or cf_live_…',
            description: 'A merchant’s API key. `payments:write` allows POST, and `payments:read` allows GET.',
          },
        },
      },
    },
    {
      allowEmptySchema: { custom: true },
      override({ jsonSchema, zodSchema, io }) {
        // An answer may grow members. What the API sends today is checked by the contract test.
        if (io === 'output' && zodSchema._zod.def.type === 'object') delete jsonSchema.additionalProperties
      },
    },
  )
}
