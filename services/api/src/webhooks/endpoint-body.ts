import type { Ordering } from '@cashflow/db'
import { EVENT_TYPES } from '@cashflow/domain'
import { type AddressPolicy, checkUrl } from '@cashflow/webhook-sender'
import * as z from 'zod'
import { JsonNumber, memberError } from '../json-body.ts'
import { type MemberError, Problem, validationProblem } from '../problem.ts'

const DESCRIPTION_MAX = 255
const ORDERINGS = ['payment', 'none'] as const satisfies readonly Ordering[]
const OVERLAP_MAX_S = 7 * 86_400
const OVERLAP_DEFAULT_S = 86_400
const URL_MAX = 2_048

const missingOr = (detail: string) => ({
  error: ({ input }: { input?: unknown }) => (input === undefined ? 'is required' : detail),
})

const url = z
  .string(missingOr('must be a string'))
  .regex(/^[Hh][Tt]{2}[Pp][Ss]?:\/\/[!-[\]-~]+$/, 'must be an http or https URL of printable ASCII characters')
  .max(URL_MAX, `must have at most ${URL_MAX} characters`)
  .meta({
    description:
      'Where deliveries are sent. It begins with `https://`, has no user name, password or fragment, and is of the public Internet: other URLs get `url-refused`. Where the operator allows private networks, `http://` is allowed too.',
    override: { minLength: 'http://x'.length },
    examples: ['https://hooks.example.com/cashflow'],
  })

const description = z
  .string('must be a string or null')
  .refine((text) => [...text].length <= DESCRIPTION_MAX, `must have at most ${DESCRIPTION_MAX} characters`)
  .refine((text) => !text.includes('\0') && text.isWellFormed(), 'must not contain U+0000 or broken Unicode')
  .meta({
    description: 'For people.',
    override: { maxLength: DESCRIPTION_MAX, pattern: '^[^\\x00]*$' },
    examples: ['The shop'],
  })

const oneType = z.enum(EVENT_TYPES, `must be one of ${EVENT_TYPES.join(', ')}`)

export const eventTypes = z
  .array(oneType, 'must be an array of types, or null')
  .min(1, 'must have at least one type; null stands for all')
  .refine((types) => new Set(types).size === types.length, 'must not have a type twice')
  .meta({
    description: 'Types of events. Null for all of them.',
    override: { maxItems: EVENT_TYPES.length, uniqueItems: true },
    examples: [['payment.succeeded', 'payment.failed']],
  })

const ordering = z.enum(ORDERINGS, 'must be payment or none').meta({
  description:
    '`payment`: deliveries of a payment wait until its earlier event is delivered or has expired. `none`: no delivery waits for another.',
})

export const ENDPOINT_BODY = z.strictObject({
  url,
  description: description.nullable().default(null),
  types: eventTypes.nullable().default(null),
  ordering: ordering.default('payment'),
})

export const ENDPOINT_CHANGE = z.strictObject({
  url: url.optional(),
  description: description.nullable().optional(),
  types: eventTypes.nullable().optional(),
  ordering: ordering.optional(),
  enabled: z
    .boolean('must be true or false')
    .optional()
    .meta({
      description: 'False ends deliveries to the endpoint. True begins them again with the next event.',
      examples: [true],
    }),
})

export const ROTATION_BODY = z.strictObject({
  overlap_s: z
    .instanceof(JsonNumber, { error: 'must be a number' })
    .transform(({ source }) => Number(source))
    .refine(
      (seconds) => Number.isInteger(seconds) && seconds >= 0 && seconds <= OVERLAP_MAX_S,
      `must be a whole number from 0 to ${OVERLAP_MAX_S}`,
    )
    .meta({
      override: { type: 'integer', format: 'int32', minimum: 0, maximum: OVERLAP_MAX_S, examples: [3_600] },
      description: 'Seconds for which the former secret signs as well. 0 ends it immediately.',
    })
    .default(OVERLAP_DEFAULT_S),
})

/**
 * Reads the body of a request about endpoints.
 *
 * @param what names what the body is, such as `an endpoint`
 * @throws Problem that names every wrong member
 */
export function readBody<Schema extends z.ZodObject>(body: object, schema: Schema, what: string): z.output<Schema> {
  const result = schema.safeParse(body)
  if (result.success) return result.data
  throw validationProblem(
    result.error.issues.flatMap((issue): MemberError[] =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((name) => memberError([name], `is not a member of ${what}`))
        : [memberError(issue.path.map(String), issue.message)],
    ),
  )
}

/** @throws Problem for a URL that no endpoint may have here */
export function assertUrl(text: string, policy: AddressPolicy): void {
  const checked = checkUrl(text, policy)
  if ('refused' in checked) throw new Problem('url-refused', `The URL ${checked.refused}.`)
}
