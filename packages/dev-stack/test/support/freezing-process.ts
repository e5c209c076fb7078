import { identify } from '../../src/processes/process-table.ts'
import { startFreeze } from '../../src/sandbox/freeze.ts'

/** Freezes the given process for a time, as a stack does. Prints a line when it is frozen. */
const [pid, ms] = process.argv.slice(2)
const root = identify(Number(pid))
if (!root) throw new Error('no such process')
await startFreeze(root, Number(ms))
console.log('frozen')
