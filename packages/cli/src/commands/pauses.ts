import { ignoringPauses, PAUSABLE, type Pause, pause, resume } from '@cashflow/db/operator'
import { Argument, type Command } from '@commander-js/extra-typings'
import { durationMs, reasonText } from '../arguments.ts'
import { examples } from '../help.ts'
import type { Act } from '../run-command.ts'
import type { Fields } from '../show.ts'

const FOR_MAX_DAYS = 30

const HELP = `
Relays and workers follow within 5 seconds. During a pause no payment is redriven, and none is lost.
`

export function addPauseCommands(program: Command, choose: (act: Act) => void): void {
  const component = () => new Argument('<component>', 'what is meant, all processes of it').choices(PAUSABLE)
  program
    .command('pause')
    .description('stop relays from publishing, or workers from claiming payments, until resume')
    .addArgument(component())
    .requiredOption('--reason <text>', 'why, shown in the logs', reasonText)
    .option(
      '--for <duration>',
      'such as 30m or 2h, after which it ends by itself',
      durationMs({ minMs: 1_000, maxMs: FOR_MAX_DAYS * 86_400_000 }),
    )
    .addHelpText(
      'after',
      HELP + examples("pause worker --for 30m --reason 'the provider moves'", "pause relay --reason 'a new cluster'"),
    )
    .action((component, { reason, for: forMs }) =>
      choose(async ({ db, show, ...by }) => {
        const result = await pause(db, { component, reason, by, forMs })
        if (!result.done) return result
        // The pause is made, so that a failure here is none of the command.
        const ignoring = await ignoringPauses(db, component).catch(() => ['unknown'])
        await show({ ...toFields(result.pause), ...(ignoring.length > 0 && { ignored_by: ignoring.join(', ') }) })
        return result
      }),
    )
  program
    .command('resume')
    .description('end a pause')
    .addArgument(component())
    .option('--reason <text>', 'why, shown in the logs', reasonText)
    .addHelpText('after', examples('resume worker', "resume relay --reason 'it has moved'"))
    .action((component, { reason }) =>
      choose(async ({ db, show, ...by }) => {
        const result = await resume(db, { component, reason, by })
        if (!result.done) return result
        const { resumedBy, resumedAt, resumeReason } = result.pause
        const resumed = { resumed_by: resumedBy, resumed_at: resumedAt, resume_reason: resumeReason }
        await show({ ...toFields(result.pause), ...resumed })
        return result
      }),
    )
}

function toFields({ component, reason, pausedBy, pausedAt, until }: Pause): Fields {
  return { component, reason, paused_by: pausedBy, paused_at: pausedAt, until }
}
