import { defined } from '@cashflow/async'
import * as z from 'zod'
import type { ZodOpenApiResponseObject, ZodOpenApiResponsesObject } from 'zod-openapi'
import { PROBLEM_TYPE, type ProblemMembers } from '../problem.ts'
import { PROBLEMS, type ProblemCode } from '../problem-types.ts'
import { nextActionAt, paymentId, status, text, waitingFor } from './answers.ts'
import { HEADERS, type HeaderName, headersOf, optional, requestIdText } from './headers.ts'

const memberError = z
  .object({
    pointer: z
      .string()
      .regex(/^#/)
      .min(1)
      .max(4_096)
      .meta({
        description: 'A member of the body: a JSON pointer as URI fragment (RFC 6901 §6).',
        examples: ['#/amount'],
      }),
    detail: text.meta({ examples: ['must have at most 2 decimals'] }),
  })
  .meta({ id: 'MemberError' })

const parameterError = z
  .object({
    parameter: z
      .string()
      .regex(/^[\s\S]*$/)
      .min(1)
      .max(65)
      .meta({ description: 'The name of a parameter.', examples: ['limit'] }),
    detail: text.meta({ examples: ['must be a whole number from 1 to 100'] }),
  })
  .meta({ id: 'ParameterError' })

const errors = z
  .array(z.union([memberError, parameterError]))
  .min(1)
  .max(20)

const mismatch = z
  .array(z.enum(['amount', 'currency', 'reference', 'metadata']))
  .min(1)
  .max(4)
  .meta({ description: 'Names of the members that differ.' })

type Members = { readonly [Name in keyof ProblemMembers]?: z.ZodType<ProblemMembers[Name]> }

/** What problems have besides the members that all of them have. */
const MEMBERS: { readonly [Code in ProblemCode]?: Members } = {
  'validation-error': { errors },
  'duplicate-reference': { payment_id: paymentId },
  'reference-mismatch': { payment_id: paymentId, mismatch },
  'idempotency-mismatch': { payment_id: paymentId, mismatch },
  'not-cancelable': { payment_id: paymentId, payment_status: status, waiting_for: waitingFor.optional() },
  'not-advanceable': {
    payment_id: paymentId,
    payment_status: status,
    waiting_for: waitingFor,
    next_action_at: nextActionAt.optional(),
  },
  'quota-exceeded': {
    'violated-policies': z
      .array(z.enum(['key', 'address']))
      .min(1)
      .max(1),
  },
  unavailable: {
    failing: z
      .array(z.enum(['postgresql']))
      .max(1)
      .optional(),
  },
}

/** Headers that answers with a problem have only sometimes. */
const MORE_HEADERS: { readonly [Code in ProblemCode]?: readonly HeaderName[] } = {
  'unsupported-media-type': ['Accept', 'Accept-Encoding'],
  overloaded: ['Connection'],
}

const pascalCase = (code: string) => code.replaceAll(/(?:^|-)(\w)/g, (_match, first: string) => first.toUpperCase())

/** The table of the problems links to other pages, which the document has not. */
const withoutLinks = (markdown: string) => markdown.replaceAll(/\[([^\]]+)\]\([^)]+\)/g, '$1')

/** The schema of a problem, from the table that the API answers from. */
function problemSchema(code: ProblemCode) {
  const { type, title, retryable, exampleDetail, when, remedy, ...problem } = PROBLEMS[code]
  return z
    .object({
      type: z.literal(type),
      title: text.meta({ examples: [title] }),
      status: z.literal(problem.status),
      detail: text.meta({ examples: [exampleDetail] }),
      code: z.literal(code),
      retryable: z.literal(retryable),
      request_id: requestIdText,
      ...MEMBERS[code],
    })
    .meta({ id: `${pascalCase(code)}Problem`, title, description: withoutLinks(`${when}\n\n${remedy}`) })
}

function oneOf([first, ...others]: ReturnType<typeof problemSchema>[]): z.ZodType {
  const one = defined(first, 'problem')
  return others.length > 0 ? z.discriminatedUnion('code', [one, ...others]) : one
}

const SCHEMAS = new Map((Object.keys(PROBLEMS) as ProblemCode[]).map((code) => [code, problemSchema(code)]))

/** Makes answers with problems. The document has each answer once, so each is made once. */
export function createProblemAnswers() {
  const answers = new Map<string, ZodOpenApiResponseObject>()

  function answerOf(codes: readonly ProblemCode[], isPublic: boolean): ZodOpenApiResponseObject {
    const id = `${isPublic ? 'Public' : ''}${codes.map(pascalCase).join('Or')}`
    const answer = answers.get(id) ?? {
      id,
      description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].title}.`).join(' '),
      headers: headersOf(headersOfAll(codes), { isPublic }),
      content: { [PROBLEM_TYPE]: { schema: oneOf(codes.map((code) => defined(SCHEMAS.get(code), 'schema'))) } },
    }
    answers.set(id, answer)
    return answer
  }

  /** The answers with these problems, by status. */
  return (codes: readonly ProblemCode[], { isPublic }: { isPublic: boolean }): ZodOpenApiResponsesObject =>
    Object.fromEntries(
      Array.from(
        Map.groupBy(codes, (code) => PROBLEMS[code].status),
        ([status, group]) => [status, answerOf(group, isPublic)],
      ),
    )
}

/** Headers that all of the problems have, and optional ones that some of them have. */
function headersOfAll(codes: readonly ProblemCode[]) {
  const always = codes.map(
    (code) => ('headers' in PROBLEMS[code] ? PROBLEMS[code].headers : []) as readonly HeaderName[],
  )
  const sometimes = codes.flatMap((code) => MORE_HEADERS[code] ?? [])
  const names = new Set([...always.flat(), ...sometimes])
  return Object.fromEntries(
    [...names].map((name) => [
      name,
      always.every((list) => list.includes(name)) ? HEADERS[name] : optional(HEADERS[name]),
    ]),
  )
}
