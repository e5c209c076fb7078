import * as z from 'zod'
import type { ZodOpenApiOperationObject, ZodOpenApiResponseObject } from 'zod-openapi'
import type { ProblemCode } from '../problem-types.ts'
import { headersOf } from './headers.ts'
import { createProblemAnswers } from './problem-answers.ts'

/** Problems that every request may get: from the connection, the headers, or a bug. */
const ANY: readonly ProblemCode[] = ['bad-request', 'request-timeout', 'headers-too-large', 'internal']
/** Problems that every request with a key may get besides. */
const KEYED: readonly ProblemCode[] = [
  ...(['unauthenticated', 'too-many-wrong-keys', 'forbidden'] as const),
  ...(['quota-exceeded', 'overloaded', 'unavailable'] as const),
]

const problemAnswers = createProblemAnswers()

interface Operation extends ZodOpenApiOperationObject {
  operationId: string
  summary: string
  description: string
  tags: [string]
  security?: never
  /** Those that only this operation has. */
  problems?: readonly ProblemCode[]
}

/** An operation that needs a key. */
export function keyed({ problems = [], responses, ...operation }: Operation): ZodOpenApiOperationObject {
  const answers = problemAnswers([...ANY, ...KEYED, ...problems], { isPublic: false })
  return { ...operation, security: [{ key: [] }], responses: { ...responses, ...answers } }
}

/** An operation without a key. */
export function open({ problems = [], responses, ...operation }: Operation): ZodOpenApiOperationObject {
  const answers = problemAnswers([...ANY, ...problems], { isPublic: true })
  return { ...operation, security: [], responses: { ...responses, ...answers } }
}

type AnswerOptions = { headers?: Parameters<typeof headersOf>[0] } & Partial<Parameters<typeof headersOf>[1]>

/** An answer with JSON. */
export function answer(description: string, schema: z.ZodType, options?: AnswerOptions): ZodOpenApiResponseObject {
  return { ...unchanged(description, options), content: { 'application/json': { schema } } }
}

/** An answer 304, which has no body. */
export function unchanged(
  description: string,
  { headers = {}, isPublic = false, cache }: AnswerOptions = {},
): ZodOpenApiResponseObject {
  return { description, headers: headersOf(headers, { isPublic, ...(cache && { cache }) }) }
}

export const ifNoneMatch = z
  .string()
  .regex(/^[ -~]*$/)
  .max(255)
  .optional()
  .meta({ description: 'ETags of what the client has.' })
/** The document is served by the deployment that it describes. */
export const SERVER = { description: 'This deployment, a sandbox or production.', 'x-internal': false }
