import { once } from 'node:events'
import { type Stack, type StackOptions, startStack } from './stack/stack.ts'
import { onStopSignals } from './stack/stop-signals.ts'
import { summary } from './stack/summary.ts'

export type RunOptions = Omit<StackOptions, 'signal'> & {
  /** Prints text as it is. */
  show: (text: string) => void
}

/** Runs a stack until a signal says stop. A second one, later, kills what is still running. */
export async function runStack(options: RunOptions): Promise<void> {
  const { printer, say, show } = options
  const stopping = new AbortController()
  onStopSignals({
    stop(name) {
      say(`${name}: stopping; once more kills what is left`)
      stopping.abort()
    },
    kill: () => process.exit(1), // Daemons do not outlive us.
  })
  const stack = await start({ ...options, signal: stopping.signal })
  if (!stack) return
  show(summary(stack.file()))
  printer.release()
  if (!stopping.signal.aborted) await once(stopping.signal, 'abort')
  await stack.stop()
  say('everything is stopped')
}

/** Undefined if it was given up. */
async function start(options: StackOptions): Promise<Stack | undefined> {
  try {
    return await startStack(options)
  } catch (error) {
    if (options.signal.aborted) return undefined
    throw error
  }
}
