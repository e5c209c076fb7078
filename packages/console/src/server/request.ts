import type { Done } from '@cashflow/db'
import type { Operator } from '@cashflow/db/operator'
import { isUuid } from '@cashflow/domain'
import type { Request, Response } from 'express'
import * as z from 'zod'
import { Refusal } from './refusal.ts'

/** The program that acts are recorded with. */
const VIA = 'console'

/** Who acts, as the audit log has it. */
export function operatorOf(res: Response): Operator {
  return { actor: res.locals.operator.name, via: VIA }
}

const REASON_MAX = 1_000

/** Why an operator acts, as the command `cashflow` takes it too. */
export const reason = z
  .string()
  .trim()
  .min(1, 'is empty')
  .max(REASON_MAX, `is longer than ${REASON_MAX} characters`)
  .refine((text) => !/\p{Cc}/u.test(text), 'has a control character, such as a new line')

/** Text that PostgreSQL can store and compare. */
export const text = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((value) => value.isWellFormed() && !value.includes('\0'), 'has a character that cannot be stored')

/** @throws Refusal with 422 that names the wrong members of a body, or the wrong parameters of a query */
export function parsed<Schema extends z.ZodType>(schema: Schema, given: unknown): z.output<Schema> {
  const result = schema.safeParse(given ?? {})
  if (result.success) return result.data
  const faults = result.error.issues.map(({ path, message }) => `${path.join('.') || 'The body'} ${message}`)
  throw new Refusal(422, `${faults.slice(0, 5).join('; ')}.`)
}

/** The id of the path. @throws Refusal with 404 if it is no UUID */
export function uuidParameter(req: Request, what: string): string {
  const { id = '' } = req.params as { id?: string }
  if (!isUuid(id)) throw new Refusal(404, `No ${what} has this id.`)
  return id.toLowerCase()
}

/** @throws Refusal with 409 if the act was refused */
export function orConflict<Facts>(result: Done<Facts>): asserts result is { done: true } & Facts {
  if (!result.done) throw new Refusal(409, result.why)
}

/** A time as JSON. One without a date, such as infinity, is only stored by a change by hand. */
export function timeOf(time: Date): string
export function timeOf(time: Date | null): string | null
export function timeOf(time: Date | null): string | null {
  if (time === null) return null
  return Number.isFinite(Number(time)) ? time.toISOString() : String(time)
}

/** Tells which rows a list leaves out because PostgreSQL cannot read them. */
export const unreadableNotes = (leftOut: readonly { readonly what: string; readonly why: string }[]) =>
  leftOut.map(({ what, why }) => `PostgreSQL cannot read ${what}: ${why}`)
