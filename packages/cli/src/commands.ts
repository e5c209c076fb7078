import type { Command } from 'commander'
import { addDeadLetterCommands } from './commands/dead-letters.ts'
import { addKeyCommands } from './commands/keys.ts'
import { addMerchantCommands } from './commands/merchants.ts'
import { addSettleCommand } from './commands/settle.ts'
import type { Act } from './run-command.ts'

/**
 * Adds the commands of `cashflow` to a parser. They inherit its settings.
 *
 * @param choose called with the act that the arguments name
 */
export function addCommands(program: Command, choose: (act: Act) => void): void {
  program.name('cashflow').description("Cashflow's command for operators").showHelpAfterError()
  program.option('--json', 'print JSON: one object, or of a list one object a line')
  addMerchantCommands(program, choose)
  addKeyCommands(program, choose)
  addDeadLetterCommands(program, choose)
  addSettleCommand(program, choose)
}
