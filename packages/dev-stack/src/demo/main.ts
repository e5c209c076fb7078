import { join } from 'node:path'
import { outliveOutput, redactedErrorMessage } from '@cashflow/runtime'
import { CHECKOUT } from '../cashflow.ts'
import { StartError } from '../start-error.ts'
import { runDemo } from './demo.ts'
import { createScreen } from './screen.ts'

// Closing the terminal must not end this process before everything is stopped and deleted.
outliveOutput()

try {
  process.exitCode = await runDemo(join(CHECKOUT, '.cashflow/demo'), createScreen(process.stdout))
} catch (error) {
  process.stderr.write(`${error instanceof StartError ? redactedErrorMessage(error) : (error as Error).stack}\n`)
  process.exitCode = 1
}
