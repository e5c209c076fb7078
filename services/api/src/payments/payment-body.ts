import {
  CURRENCIES,
  type Currency,
  moneyOf,
  readJsonNumber,
  readMetadata,
  readPlainNumber,
  readReference,
  SIMULATIONS,
} from '@cashflow/domain'
import * as z from 'zod'
import { isJsonObject, JsonNumber, memberError } from '../json-body.ts'
import { type MemberError, validationProblem } from '../problem.ts'
import { AMOUNT_DOCUMENT, METADATA_DOCUMENT, REFERENCE_DOCUMENT } from './payment-body-document.ts'

export const ALL_CURRENCIES = Object.keys(CURRENCIES) as Currency[]

const missingOr = (detail: string) => ({
  error: ({ input }: { input?: unknown }) => (input === undefined ? 'is required' : detail),
})

/** The schema of an amount. Its output is in the first of `currencies` that can hold the amount. */
const amountIn = (currencies: readonly Currency[]) =>
  z
    .union([z.instanceof(JsonNumber), z.string()], missingOr('must be a number or a string'))
    .transform((given, context) => {
      const amount = typeof given === 'string' ? readPlainNumber(given) : readJsonNumber(given.source)
      const results = amount ? currencies.map((currency) => moneyOf(amount, currency)) : []
      for (const result of results) if (result.ok) return result.value
      const [first] = results
      const message = first && !first.ok ? first.refusal.detail : 'must be digits with at most one point between them'
      context.addIssue({ code: 'custom', message })
      return z.NEVER
    })
    .meta({ override: AMOUNT_DOCUMENT })

const reference = z
  .string(missingOr('must be a string'))
  .transform((given, context) => {
    const result = readReference(given)
    if (result.ok) return result.value
    context.addIssue({ code: 'custom', message: result.refusal.detail })
    return z.NEVER
  })
  .meta({ override: REFERENCE_DOCUMENT })

const metadata = z
  .custom<object>(isJsonObject, 'must be an object')
  .transform((given, context) => {
    const result = readMetadata(Object.entries(given))
    if (result.ok) return result.value
    for (const { name, detail } of result.refusals)
      context.addIssue({ code: 'custom', message: detail, path: name === undefined ? [] : [name] })
    return z.NEVER
  })
  .meta({ override: METADATA_DOCUMENT })

const bodyIn = (currencies: readonly Currency[]) =>
  z.strictObject({
    amount: amountIn(currencies),
    currency: z
      .enum(ALL_CURRENCIES, missingOr(`must be ${ALL_CURRENCIES.join(' or ')}`))
      .meta({ description: 'ISO 4217 code.', minLength: 3, examples: ['USD'] }),
    reference,
    metadata: metadata.optional(),
  })

// The currency decides which amounts are valid. Without a valid currency, an amount is wrong if no currency can hold it.
export const BODY_IN_ANY = bodyIn(ALL_CURRENCIES)
const BODY_IN = new Map<unknown, typeof BODY_IN_ANY>(ALL_CURRENCIES.map((currency) => [currency, bodyIn([currency])]))

export type PaymentBody = z.output<typeof BODY_IN_ANY>

/**
 * @param simulations values that `metadata.simulate` may have; undefined allows any
 * @throws Problem that names every wrong member
 */
export function readPaymentBody(body: object, simulations?: ReadonlySet<string>): PaymentBody {
  const wrong = simulations ? simulateErrors(body, simulations) : NONE
  const currency = 'currency' in body ? body.currency : undefined
  const result = (BODY_IN.get(currency) ?? BODY_IN_ANY).safeParse(body)
  if (result.success && wrong.length === 0) return result.data
  throw validationProblem([...(result.error?.issues ?? []).flatMap(memberErrors), ...wrong])
}

const NONE: readonly MemberError[] = []

/** The error of `metadata.simulate`, if it is a string. The schema refuses anything else. */
function simulateErrors(body: object, simulations: ReadonlySet<string>): readonly MemberError[] {
  if (!('metadata' in body && isJsonObject(body.metadata) && 'simulate' in body.metadata)) return NONE
  const { simulate } = body.metadata
  if (typeof simulate !== 'string' || simulations.has(simulate)) return NONE
  const detail = SIMULATIONS.some((known) => known === simulate)
    ? 'needs the simulated provider (PROVIDER=simulated)'
    : `must be one of ${[...simulations].join(', ')}`
  return [memberError(['metadata', 'simulate'], detail)]
}

function memberErrors(issue: z.core.$ZodIssue): MemberError[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((name) => memberError([name], 'is not a member of a payment'))
  return [memberError(issue.path.map(String), issue.message)]
}
