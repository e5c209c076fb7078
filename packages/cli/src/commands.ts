import type { Command } from 'commander'
import { addConformanceCommand } from './commands/conformance.ts'
import { addDeadLetterCommands } from './commands/dead-letters.ts'
import { addKeyCommands } from './commands/keys.ts'
import { addMerchantCommands } from './commands/merchants.ts'
import { addSettleCommand } from './commands/settle.ts'
import type { Act, OutsideAct } from './run-command.ts'

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
  program.name('cashflow').description("Cashflow's command for operators").showHelpAfterError()
  program.option('--json', 'print JSON: one object, or of a list one object a line')
  addMerchantCommands(program, choose)
  addKeyCommands(program, choose)
  addDeadLetterCommands(program, choose)
  addSettleCommand(program, choose)
  addConformanceCommand(program, chooseOutside)
}
