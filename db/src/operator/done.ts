import { isDamage } from '../postgres/errors.ts'
import { wordsOf } from '../postgres/past-damage.ts'

/** The result of an operator's command, with its `Facts`. `why` tells the operator what prevented it. */
export type Done<Facts = object> = ({ readonly done: true } & Facts) | Refused

export interface Refused {
  readonly done: false
  readonly why: string
}

export const refused = (why: string): Refused => ({ done: false, why })

const LOCKED = new Set(['55P03', '40P01'])
const TOO_SLOW = '57014'

/** The refusal of an act that waited in vain for the lock of another session, or whose statement took too long. */
export function refusedByLock(error: unknown): Refused | undefined {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (LOCKED.has(code))
    return refused('Another session has locked it, such as that of a worker or of another operator. Try again.')
  return code === TOO_SLOW ? refused(`PostgreSQL took too long: ${(error as Error).message}. Try again.`) : undefined
}

/**
 * Replaces the error of an act that PostgreSQL could not do: another session has locked what it needs, a statement took too
 * long, or a row cannot be read or written. The act has changed nothing.
 *
 * @param act its name, such as `settle`
 * @param on what it is about, such as `payment 0197f3c0-…`
 */
export async function orRefused<Facts>(
  { act, on }: { act: string; on: string },
  work: Promise<Done<Facts>>,
): Promise<Done<Facts>> {
  try {
    return await work
  } catch (error) {
    const byLock = refusedByLock(error)
    if (byLock) return byLock
    if (!isDamage(error)) throw error
    return refused(
      `PostgreSQL cannot read or write ${on}, or a row that belongs to it: ${wordsOf(error)}. Repair what the error names, then ${act} again.`,
    )
  }
}
