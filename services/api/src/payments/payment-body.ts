import { CURRENCIES, type Currency, moneyOf, readJsonNumber, readPlainNumber, readReference } from '@cashflow/domain'
import * as z from 'zod'
import { JsonNumber, memberError } from '../json-body.ts'
import { type MemberError, validationProblem } from '../problem.ts'

const ALL_CURRENCIES = Object.keys(CURRENCIES) as Currency[]

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

const reference = z.string(missingOr('must be a string')).transform((given, context) => {
  const result = readReference(given)
  if (result.ok) return result.value
  context.addIssue({ code: 'custom', message: result.refusal.detail })
  return z.NEVER
})

const bodyIn = (currencies: readonly Currency[]) =>
  z.strictObject({
    amount: amountIn(currencies),
    currency: z.enum(ALL_CURRENCIES, missingOr(`must be ${ALL_CURRENCIES.join(' or ')}`)),
    reference,
  })

// The currency decides which amounts are valid. Without a valid currency, an amount is wrong if no currency can hold it.
const BODY_IN_ANY = bodyIn(ALL_CURRENCIES)
const BODY_IN = new Map<unknown, typeof BODY_IN_ANY>(ALL_CURRENCIES.map((currency) => [currency, bodyIn([currency])]))

export type PaymentBody = z.output<typeof BODY_IN_ANY>

/** @throws Problem that names every wrong member */
export function readPaymentBody(body: object): PaymentBody {
  const currency = 'currency' in body ? body.currency : undefined
  const result = (BODY_IN.get(currency) ?? BODY_IN_ANY).safeParse(body)
  if (result.success) return result.data
  throw validationProblem(result.error.issues.flatMap(memberErrors))
}

function memberErrors(issue: z.core.$ZodIssue): MemberError[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((name) => memberError(name, 'is not a member of a payment'))
  return [memberError(String(issue.path[0]), issue.message)]
}
