import type { Done } from '@cashflow/db'
import type { LeftOut } from '@cashflow/db/operator'
import { visible } from '@cashflow/runtime'
import { DAMAGED, noteFound } from './run-command.ts'

/**
 * Shows a list. Names on standard error what PostgreSQL cannot read, and is then refused, so that an incomplete list does
 * not look complete.
 *
 * @param none what people read in place of an empty list. `show` gets it if nothing was left out.
 */
export async function showWithout(
  { leftOut, none }: { readonly leftOut: readonly LeftOut[]; readonly none: string },
  show: (none: string | undefined) => Promise<void>,
): Promise<Done> {
  if (leftOut.length > 0) noteFound()
  await show(leftOut.length > 0 ? undefined : none)
  for (const { what, why } of leftOut) process.stderr.write(`${visible(`PostgreSQL cannot read ${what}: ${why}`)}\n`)
  if (leftOut.length === 0) return { done: true }
  return { done: false, why: `The list is incomplete. ${DAMAGED}` }
}
