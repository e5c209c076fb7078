import type { Command, CommandUnknownOpts } from '@commander-js/extra-typings'
import { nameText } from './arguments.ts'
import { addAuditCommands } from './commands/audit.ts'
import { addConformanceCommand } from './commands/conformance.ts'
import { addConsoleCommands } from './commands/console.ts'
import { addDeadLetterCommands } from './commands/dead-letters.ts'
import { addDoctorCommand } from './commands/doctor.ts'
import { addEventsCommand } from './commands/events.ts'
import { addKeyCommands } from './commands/keys.ts'
import { addMerchantCommands } from './commands/merchants.ts'
import { addPauseCommands } from './commands/pauses.ts'
import { addPaymentCommands } from './commands/payments.ts'
import { addRedriveCommand } from './commands/redrive.ts'
import { addSettleCommand } from './commands/settle.ts'
import { addStatusCommand } from './commands/status.ts'
import { addVerifyCommand } from './commands/verify.ts'
import { addWebhookCommands } from './commands/webhooks.ts'
import type { Act, OutsideAct } from './run-command.ts'

const EXIT_CODES = `
Exit codes: 0 done; 1 refused, or something was found; 2 wrong arguments; 3 could not be done.`

/**
 * Adds the commands of `cashflow` to a parser. They inherit its settings.
 *
 * @param choose called with the act that the arguments name
 * @param chooseOutside the same, for an act that needs no database
 */
export function addCommands(
  program: Command,
  choose: (act: Act) => void,
  chooseOutside: (act: OutsideAct) => void,
): void {
  program.name('cashflow').description("Cashflow's command for operators")
  program.configureHelp({ showGlobalOptions: true })
  program.option('--json', 'print JSON: one object, or of a list one object a line')
  program.option('--actor <name>', 'who you are, stored with what you do (default: user@host)', nameText)
  program.addHelpText('after', EXIT_CODES)
  addStatusCommand(program, choose)
  addDoctorCommand(program, chooseOutside)
  addPaymentCommands(program, choose)
  addEventsCommand(program, choose)
  addMerchantCommands(program, choose)
  addKeyCommands(program, choose)
  addDeadLetterCommands(program, choose)
  addWebhookCommands(program, choose, chooseOutside)
  addSettleCommand(program, choose, 'settle')
  addRedriveCommand(program, choose)
  addPauseCommands(program, choose)
  addVerifyCommand(program, choose)
  addAuditCommands(program, choose)
  addConsoleCommands(program, choose)
  addConformanceCommand(program, chooseOutside)
  nameHelpAfterError(program, 'cashflow')
}

/** A wrong argument is one line. The whole help would push it off the screen. */
function nameHelpAfterError(command: CommandUnknownOpts, name: string): void {
  command.showHelpAfterError(`see ${name} --help`)
  for (const below of command.commands) nameHelpAfterError(below, `${name} ${below.name()}`)
}
