import { loadConfig, outliveOutput, redactedErrorMessage } from '@cashflow/runtime'
import { HELP, readArguments } from './arguments.ts'
import { cashflowStack } from './cashflow.ts'
import { runStack } from './run-stack.ts'
import { stackSettings } from './settings.ts'
import { StartError } from './start-error.ts'

// Closing the terminal must not end this process before everything is stopped.
outliveOutput()

try {
  const args = readArguments(process.argv.slice(2))
  if (args.help) process.stdout.write(HELP)
  else await runStack(cashflowStack(args, loadConfig(stackSettings), process.env))
} catch (error) {
  process.stderr.write(`${error instanceof StartError ? redactedErrorMessage(error) : (error as Error).stack}\n`)
  process.exitCode = 1
}
