import { ACTION_NAMES, type Action, type ActionName, searchActions } from '@cashflow/db/operator'
import { jsonLine } from '@cashflow/runtime'
import { type Command, Option } from '@commander-js/extra-typings'
import { durationMs, limitUpTo, nameText, numberedId } from '../arguments.ts'
import { examples } from '../help.ts'
import { showWithout } from '../left-out.ts'
import { type Act, print } from '../run-command.ts'
import { clipped, type Fields } from '../show.ts'

const LIMIT = 50
const LIMIT_MAX = 10_000
const SINCE_MAX_DAYS = 36_500

const HELP = `
A target is the id of a payment, of a dead letter, of a key, of a merchant or of an endpoint, or the name of a component or of an operator. Acts
are never changed and never deleted. With --actor only those of this operator are printed. To go on after the last one that is printed, give its id as --before.
`

export function addAuditCommands(program: Command, choose: (act: Act) => void): void {
  const audit = program.command('audit').description('what operators did')
  audit
    .command('list')
    .description('print acts of operators, the newest first')
    .option('--target <id>', 'only those on this target', nameText)
    .addOption(new Option('--action <name>', 'only those of this command').choices(ACTION_NAMES))
    .option(
      '--since <duration>',
      'only those of the last 24h, 30m or 7d',
      durationMs({ minMs: 1_000, maxMs: SINCE_MAX_DAYS * 86_400_000 }),
    )
    .option('--before <id>', 'only those before this act', numberedId('an act'))
    .option('--limit <number>', `at most this many (default: ${LIMIT})`, limitUpTo(LIMIT_MAX))
    .addHelpText(
      'after',
      HELP +
        examples(
          'audit list',
          'audit list --target 17',
          'audit list --action resume',
          'audit list --actor ann@ops --since 24h --json',
        ),
    )
    .action((options, command) => {
      // The setting of all commands. Here it says whose acts are listed.
      const { actor } = command.optsWithGlobals() as { actor?: string }
      choose(list({ ...options, actor }))
    })
}

interface ListOptions {
  target?: string
  actor?: string | undefined
  action?: ActionName
  since?: number
  before?: string
  limit?: number
}

function list({ target, actor, action, since, before, limit = LIMIT }: ListOptions): Act {
  return async ({ db, json, show }) => {
    const { actions, leftOut } = await searchActions(db, { target, actor, action, ageMaxMs: since, before, limit })
    return await showWithout({ leftOut, none: 'No acts.' }, async (none) => {
      if (json) for (const action of actions) await print(jsonLine(action))
      else await show(actions.map(toActionFields), { none })
    })
  }
}

/** An act for people. JSON has all facts of before and after. */
export function toActionFields({ id, at, actor, via, action, target, reason, before, after }: Action): Fields {
  return {
    id,
    at,
    actor,
    via,
    action,
    target,
    reason: reason && clipped(reason),
    changed: clipped(changes(before, after)),
  }
}

function changes(before: unknown, after: unknown): string {
  const [was, is] = [(before ?? {}) as Record<string, unknown>, (after ?? {}) as Record<string, unknown>]
  const text = (value: unknown) => (typeof value === 'string' ? value : JSON.stringify(value ?? null))
  return Object.keys(is)
    .filter((name) => text(was[name]) !== text(is[name]))
    .map((name) =>
      was[name] === undefined ? `${name} ${text(is[name])}` : `${name} ${text(was[name])} → ${text(is[name])}`,
    )
    .join(', ')
}
