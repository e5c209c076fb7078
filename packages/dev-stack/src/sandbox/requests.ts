import { CURRENCIES, type Currency, moneyOf, readPlainNumber, SIMULATIONS } from '@cashflow/domain'
import * as z from 'zod'
import { FAULT_KINDS } from './fault-kinds.ts'

const RATE_MAX = 200
const RUN_MAX_S = 600
const FREEZE_MAX_S = 60

const currency = z.enum(Object.keys(CURRENCIES) as [Currency, ...Currency[]])
const amount = z.string().max(20)

/** Amounts in the currency's smallest unit. */
export interface RunPlan {
  /** Payments a second. */
  readonly rate: number
  readonly seconds: number
  readonly currency: Currency
  readonly minMinor: bigint
  readonly maxMinor: bigint
  readonly simulate: string | null
}

/** The body of `POST /payments`. */
export const runBody = z
  .strictObject({
    rate: z.number().min(1).max(RATE_MAX),
    amount_min: amount,
    amount_max: amount,
    currency,
    simulate: z.enum(SIMULATIONS).nullable(),
    seconds: z.number().min(1).max(RUN_MAX_S),
  })
  .transform((body, context): RunPlan => {
    const minor = (name: 'amount_min' | 'amount_max'): bigint => {
      const decimal = readPlainNumber(body[name])
      const money = decimal && moneyOf(decimal, body.currency)
      if (money?.ok) return money.value.amountMinor
      const message = money ? money.refusal.detail : 'must be decimal text, such as 100.50'
      context.addIssue({ code: 'custom', path: [name], message })
      return z.NEVER
    }
    const { rate, seconds, currency, simulate } = body
    const [minMinor, maxMinor] = [minor('amount_min'), minor('amount_max')]
    if (minMinor > maxMinor) context.addIssue({ code: 'custom', path: ['amount_max'], message: 'is below amount_min' })
    return { rate, seconds, currency, simulate, minMinor, maxMinor }
  })

/** The body of `POST /faults`. Only a freeze has a time: what was killed is restarted. */
export const faultBody = z
  .strictObject({ kind: z.enum(FAULT_KINDS), seconds: z.number().min(1).max(FREEZE_MAX_S).optional() })
  .refine(({ kind, seconds }) => kind.startsWith('freeze-') === (seconds !== undefined), {
    path: ['seconds'],
    message: `is needed for a freeze, 1 to ${FREEZE_MAX_S}, and only there`,
  })

export type FaultBody = z.output<typeof faultBody>
