import type { ProcessIdentity } from '../processes/process-table.ts'
import { freezeTree, thawTree } from './freeze-tree.ts'

/**
 * A process of its own that freezes another one with its descendants, and always undoes it: after its time, or when it gets a
 * signal. It outlives the stack that started it, and needs nothing of it.
 */
const [pid, startedAt = '', ms] = process.argv.slice(2)
const root = { pid: Number(pid), startedAt }
const frozen: ProcessIdentity[] = []

/** In the middle of the freeze it waits for the end of it: otherwise a process could be stopped after the undo. */
let freezing: Promise<void> | undefined
async function undo(): Promise<never> {
  await freezing
  thawTree(frozen)
  process.exit(0)
}
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => void undo())
setTimeout(() => void undo(), Number(ms))

process.stdout.on('error', () => {}) // The stack has died.
freezing = freezeTree(root, (process) => frozen.push(process))
await freezing
process.stdout.write(`${JSON.stringify(frozen)}\n`)
