import { parseArgs } from 'node:util'
import type { Outcome } from '@cashflow/domain'
import { listDeadLetters } from '@cashflow/outbox'
import { discard, requeue } from './dead-letters.ts'
import { type Command, print, UsageError } from './run-command.ts'
import { settleByHand } from './settle-by-hand.ts'

export const DEAD_USAGE = `dead list                          what waits for an operator, a JSON object a line
dead requeue <id>                  sends its payment or its message on its way again
dead discard <id> --reason <text>  resolves it, and does nothing else

In a checkout: npm run dead -- list. With Compose: docker compose run --rm migrate dead list`

export const SETTLE_USAGE = `settle <payment id> --success --reason <text>
settle <payment id> --failed --reason <text> [--failure-code <code>]

Ends a PENDING payment as you know that it ended. The reason goes into its history. A failure code is of lower case
letters, digits and _; without one it is settled_by_operator.

In a checkout: npm run settle -- <payment id> …. With Compose: docker compose run --rm migrate settle <payment id> …`

const LIST_MAX = 1_000
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** @throws UsageError, or what `parseArgs` throws */
export function readDead(args: string[]): Command {
  const { values, positionals } = parseArgs({ args, options: { reason: { type: 'string' } }, allowPositionals: true })
  const [verb, id, ...more] = positionals
  const reason = values.reason?.trim()
  if (more.length > 0) throw new UsageError(`Too many arguments: ${more.join(' ')}`)
  if (reason !== undefined && verb !== 'discard') throw new UsageError('--reason belongs to discard.')
  if (verb === 'list' && id === undefined)
    return async (db) => {
      for (const { resolution, diedAt, ...letter } of await listDeadLetters(db, { limit: LIST_MAX }))
        await print(JSON.stringify({ ...letter, died_at: diedAt }))
      return { done: true }
    }
  if (verb !== 'requeue' && verb !== 'discard') throw new UsageError('Say list, requeue <id> or discard <id>.')
  if (!id || !/^[1-9]\d{0,17}$/.test(id))
    throw new UsageError(`${verb} needs the id of a dead letter, as list shows it.`)
  if (verb === 'requeue') return (db) => requeue(db, id)
  if (!reason) throw new UsageError('discard needs a --reason: it is all that will be known of this.')
  return (db) => discard(db, id, reason)
}

/** @throws UsageError, or what `parseArgs` throws */
export function readSettle(args: string[]): Command {
  const { values, positionals } = parseArgs({
    args,
    options: {
      success: { type: 'boolean', default: false },
      failed: { type: 'boolean', default: false },
      reason: { type: 'string' },
      'failure-code': { type: 'string' },
    },
    allowPositionals: true,
  })
  const [paymentId, ...more] = positionals
  if (more.length > 0) throw new UsageError(`Too many arguments: ${more.join(' ')}`)
  if (!paymentId || !UUID.test(paymentId)) throw new UsageError('Name a payment by its id.')
  const outcome = outcomeOf(values)
  const reason = values.reason?.trim()
  if (!reason) throw new UsageError('Give a --reason: it goes into the history of the payment.')
  return (db) => settleByHand(db, { paymentId, outcome, reason })
}

function outcomeOf(values: { success: boolean; failed: boolean; 'failure-code'?: string | undefined }): Outcome {
  if (values.success === values.failed) throw new UsageError('Say either --success or --failed.')
  if (values.success && values['failure-code'] !== undefined) throw new UsageError('A success has no --failure-code.')
  if (values.success) return { outcome: 'approved' }
  const { 'failure-code': failureCode = 'settled_by_operator' } = values
  if (!/^[a-z0-9_]{1,64}$/.test(failureCode)) throw new UsageError('This is no --failure-code.')
  return { outcome: 'declined', failureCode }
}
