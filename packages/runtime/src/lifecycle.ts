import { type Loop, Loops } from '@cashflow/async'
import type { LogFields, Logger } from './logger.ts'
import { redactedErrorMessage } from './redact.ts'

/**
 * A part of a process that starts and stops.
 *
 * 1. Both calls are idempotent.
 * 2. `stop` is safe before and during `start`.
 */
export interface Component {
  readonly name: string
  /** The loops that /livez watches. */
  readonly loops?: Iterable<Loop>
  /** Resolves when the component works. Rejects when the signal aborts. */
  start(signal: AbortSignal): Promise<void>
  /** Finishes the work in flight, then resolves. */
  stop(): Promise<void>
}

/**
 * A component that runs `run` in the background, from its start until `stopping` aborts.
 *
 * @param run begins a loop for each loop that it runs, so that /livez notices a hung one
 * @param isAwaited whether `stop` waits until `run` has ended
 */
export function backgroundComponent(
  name: string,
  run: (loops: Loops) => Promise<unknown>,
  stopping: AbortController,
  { isAwaited = true } = {},
): Component {
  const loops = new Loops()
  let running: Promise<unknown> | undefined
  return {
    name,
    loops,
    async start() {
      running ??= run(loops).finally(() => loops.clear())
    },
    async stop() {
      stopping.abort(new Error(`the ${name} was stopped`))
      if (isAwaited) await running
    },
  }
}

export interface RunOptions {
  logger: Logger
  /** Time for stopping all components, in milliseconds. After it the process exits with 1. */
  deadlineMs: number
}

/**
 * Starts the components in order, logs `ready`, and stops them in reverse order on SIGTERM or SIGINT. Then the process
 * exits: with 0 after a clean stop, with 1 after an uncaught error, or if a component could not start or stop.
 */
export async function runUntilSignal(
  components: readonly Component[],
  { logger, deadlineMs }: RunOptions,
): Promise<never> {
  const stopping = new AbortController()
  const signalled = new Promise<void>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) {
      process.on(name, () => {
        if (!stopping.signal.aborted) logger.info('stopping', { signal: name })
        stopping.abort()
        resolve()
      })
    }
  })
  process.on('uncaughtException', (error) => {
    logger.error('uncaught error', { error })
    process.exit(1)
  })

  const started: Component[] = []
  const failed = await startAll(components, started, stopping.signal, logger)
  if (!failed && !stopping.signal.aborted) {
    logger.info('ready')
    await signalled
  }
  stopping.abort()
  setTimeout(() => {
    logger.error('stopping took too long', { deadline_ms: deadlineMs })
    process.exit(1)
  }, deadlineMs)
  const unclean = await stopAll(started, logger)
  logger.info('stopped')
  process.exit(failed || unclean ? 1 : 0)
}

async function startAll(
  components: readonly Component[],
  started: Component[],
  signal: AbortSignal,
  logger: Logger,
): Promise<boolean> {
  for (const component of components) {
    if (signal.aborted) return false
    started.push(component)
    try {
      await component.start(signal)
    } catch (error) {
      if (signal.aborted) return false
      logger.error('could not start', { component: component.name, ...failureFields(error) })
      return true
    }
  }
  return false
}

async function stopAll(started: readonly Component[], logger: Logger): Promise<boolean> {
  let unclean = false
  for (const component of started.toReversed()) {
    try {
      await component.stop()
    } catch (error) {
      unclean = true
      logger.error('could not stop cleanly', { component: component.name, error })
    }
  }
  return unclean
}

/**
 * The reason why a process cannot start, as log fields. An error with a code comes from its surroundings: a port, a login,
 * a schema. Any other error is a bug, so its stack is logged.
 */
export function failureFields(error: unknown): LogFields {
  if (!(error instanceof Error && 'code' in error)) return { error }
  return { reason: redactedErrorMessage(error), code: error.code }
}
