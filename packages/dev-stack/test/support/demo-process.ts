import { runDemo } from '../../src/demo/demo.ts'
import { createScreen } from '../../src/demo/screen.ts'

/** Runs what `npm run demo` runs, with its state in the given folder. */
const [, , stateDir, , startMaxMs] = process.argv
process.exitCode = await runDemo(String(stateDir), createScreen(process.stdout), {
  ...(startMaxMs !== undefined && { startMaxMs: Number(startMaxMs) }),
})
