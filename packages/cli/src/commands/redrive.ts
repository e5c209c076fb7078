import { pause } from '@cashflow/async'
import type { Done } from '@cashflow/db'
import { countDue, type RedrivePlace, redriveBatch, redrivePayment } from '@cashflow/db/operator'
import { nowMicros } from '@cashflow/outbox'
import type { Command } from '@commander-js/extra-typings'
import { durationMs, limitUpTo, reasonText, uuidOf } from '../arguments.ts'
import { examples } from '../help.ts'
import { untilInterrupt } from '../interrupt.ts'
import type { Act } from '../run-command.ts'

const PER_SECOND = 100
const PENDING_OVER_MAX_DAYS = 3_650
const LIMIT_MAX = 1_000_000_000

const HELP = `
A worker sends a redriven payment through the pipeline again, as if its message was lost: that is always safe. Refused for a
payment that is parked, settled, or held by a worker, and during any pause.

--pending-over redrives at most ${PER_SECOND} payments a second, in transactions of at most 100. It leaves out payments that a
worker holds, that wait for their next attempt, or that another session has locked, and says how many. Those that are due
already need no redrive, only a worker. After Ctrl-C it ends with the present 100. To continue, run it again.
`

export function addRedriveCommand(program: Command, choose: (act: Act) => void): void {
  program
    .command('redrive')
    .description('send PENDING payments through the pipeline again now')
    .argument('[payment id]', 'id of the payment', uuidOf('payment'))
    .option(
      '--pending-over <duration>',
      'all payments that have been PENDING for longer, such as 10m',
      durationMs({ minMs: 0, maxMs: PENDING_OVER_MAX_DAYS * 86_400_000 }),
    )
    .option('--limit <number>', 'at most this many, those whose redrive is next', limitUpTo(LIMIT_MAX))
    .option('--dry-run', 'change nothing, and print how many it would redrive')
    .option('--reason <text>', 'why, stored with the act', reasonText)
    .addHelpText(
      'after',
      HELP +
        examples(
          'redrive 0197f3c0-0000-7000-8000-0123456789ab',
          'redrive --pending-over 10m --dry-run',
          "redrive --pending-over 10m --limit 1000 --reason 'the queue was deleted'",
        ),
    )
    .action((id, { pendingOver, ...options }, command) => {
      if ((id === undefined) === (pendingOver === undefined))
        command.error('error: give the id of a payment, or --pending-over')
      const { reason, limit, dryRun } = options
      if (id !== undefined && (limit !== undefined || dryRun))
        command.error('error: --limit and --dry-run are for --pending-over')
      if (id !== undefined) choose(redriveOne(id, reason))
      else if (pendingOver !== undefined) choose(redriveAll({ ...options, pendingOverMs: pendingOver }))
    })
}

function redriveOne(id: string, reason: string | undefined): Act {
  return async ({ db, show, ...by }) => {
    const result = await redrivePayment(db, id, { by, reason })
    if (result.done) await show({ id, redriven: true })
    return result
  }
}

interface AllOptions {
  pendingOverMs: number
  limit?: number
  dryRun?: true
  reason?: string
}

function redriveAll({ pendingOverMs, limit = LIMIT_MAX, dryRun = undefined, reason }: AllOptions): Act {
  return async (context) => {
    const { db, show, progress } = context
    const interrupted = untilInterrupt()
    const total = { redriven: 0, leased: 0, waiting: 0, locked: 0 }
    const due = await countDue(db, { pendingOverMs })
    const startedMicros = await nowMicros(db)
    let after: RedrivePlace | undefined
    let why: string | undefined
    try {
      do {
        const batch = await redriveBatch(db, {
          ...{ after, startedMicros, pendingOverMs, redriveMax: limit - total.redriven, isDryRun: dryRun === true },
          ...{ by: context, reason },
        })
        for (const name of COUNTED) total[name] += batch[name]
        if (batch.why !== undefined) why = batch.isDamaged ? `${LEFT_OUT} ${batch.why}` : batch.why
        after = batch.next
        progress.report(`${total.redriven} payments redriven`)
        if (after && !dryRun) await pause((batch.redriven * 1_000) / PER_SECOND, interrupted)
      } while (after && total.redriven < limit && !interrupted.aborted)
    } finally {
      const { redriven, ...leftOut } = total
      await show({ ...(dryRun ? { would_redrive: redriven } : { redriven }), ...leftOut, due_already: due })
    }
    return ending(why, after !== undefined && total.redriven < limit)
  }
}

const LEFT_OUT = 'A payment was left out, because PostgreSQL cannot read or write it:'
const COUNTED = ['redriven', 'leased', 'waiting', 'locked'] as const

function ending(why: string | undefined, isInterrupted: boolean): Done {
  if (why !== undefined) return { done: false, why }
  return isInterrupted ? { done: false, why: 'Interrupted. To continue, run the command again.' } : { done: true }
}
