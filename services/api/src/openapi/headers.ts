import * as z from 'zod'

type Shape = Record<string, z.ZodType>

const header = <Schema extends z.ZodType>(id: string, schema: Schema, description: string) =>
  schema.meta({ header: { id, description } })

/** The same header where not every such answer has it. */
export function optional(schema: z.ZodType) {
  return schema.optional().meta({ header: { description: schema.meta()?.header?.description ?? '' } })
}

export const requestIdText = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,128}$/)
  .min(1)
  .max(128)
  .meta({ examples: ['01a200e6-61cd-73eb-b61b-50e5924ffc86'] })

const requestId = header(
  'Request-Id',
  requestIdText,
  'The client’s own if it is well-formed, else a new one. It finds the request in the operator’s logs.',
)
const allow = header(
  'Allow',
  z
    .string()
    .regex(/^[A-Z]+(, [A-Z]+)*$/)
    .max(64),
  'The methods of the route.',
)

const CACHE_CONTROL = {
  'no-store': header('No-Store', z.literal('no-store'), 'No cache may store the answer.'),
  'no-cache': header('No-Cache', z.literal('no-cache'), 'A cache asks again before it uses the answer.'),
  'private, no-cache': header(
    'Private-No-Cache',
    z.literal('private, no-cache'),
    'Only the client’s own cache may store the answer, and asks again before it uses it.',
  ),
}
const vary = header(
  'Vary',
  z.enum(['Authorization', 'Authorization, Accept']),
  'A cache must not give one client’s answer to another one.',
)

const retryAfter = header(
  'Retry-After',
  z
    .string()
    .regex(/^[1-9][0-9]{0,2}$/)
    .max(3),
  'Seconds after which to ask again.',
)

/** Headers by name, for the answers that have them only sometimes. */
export const HEADERS = {
  Accept: header('Accept', z.literal('application/json'), 'What the body has to be.'),
  'Accept-Encoding': header('Accept-Encoding', z.literal('identity'), 'How the body has to be encoded.'),
  Allow: allow,
  Connection: header('Connection', z.literal('close'), 'The API closes the connection.'),
  'Idempotent-Replayed': header(
    'Idempotent-Replayed',
    z.literal('true'),
    'An earlier request with this key has created the payment.',
  ),
  Location: header(
    'Location',
    z
      .string()
      .regex(/^\/[\w/-]+$/)
      .max(255),
    'The path of what was created.',
  ),
  ETag: header(
    'ETag',
    z
      .string()
      .regex(/^"[\w-]+"$/)
      .max(64),
    'Changes with the body. Send it as `If-None-Match`.',
  ),
  'Preference-Applied': header(
    'Preference-Applied',
    z
      .string()
      .regex(/^wait=[0-9]{1,2}$/)
      .max(8),
    'The preference `wait` was met (RFC 7240 §3).',
  ),
  'Retry-After': retryAfter,
  'WWW-Authenticate': header(
    'WWW-Authenticate',
    z
      .string()
      .regex(/^Bearer realm="cashflow"(, error="[a-z_]+"(, scope="[a-z:]+")?)?$/)
      .max(128),
    'How to authenticate (RFC 6750).',
  ),
} satisfies Shape

export type HeaderName = keyof typeof HEADERS

const RATE_LIMIT = {
  RateLimit: rateLimit(
    /^"(key|address)";r=[0-9]{1,6};t=[0-9]{1,3}$/,
    'What is left: `r` requests now, and more after `t` seconds. Left out if the operator has set no limit.',
  ),
  'RateLimit-Policy': rateLimit(
    /^"(key|address)";q=[0-9]{1,6};w=1$/,
    'The limit: `q` requests in `w` seconds (draft-ietf-httpapi-ratelimit-headers-11). Left out if there is none.',
  ),
}

function rateLimit(pattern: RegExp, description: string) {
  return z.string().regex(pattern).max(64).optional().meta({ header: { description } })
}

/** The headers of an answer: those that every answer has, and `more`. */
export function headersOf(
  more: Shape,
  { isPublic, cache = 'no-store' }: { isPublic: boolean; cache?: keyof typeof CACHE_CONTROL },
) {
  return z.object({
    'Request-Id': requestId,
    'Cache-Control': CACHE_CONTROL[cache],
    Vary: vary,
    ...(isPublic ? {} : RATE_LIMIT),
    ...more,
  })
}
