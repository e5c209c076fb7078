import { explain } from './explain.ts'
import type { Logger } from './logger.ts'

/** Something that a process starts and stops. Both calls are idempotent, and stop is safe before and during start. */
export interface Component {
  readonly name: string
  /** Resolves once the part works; gives up when the signal aborts. */
  start(signal: AbortSignal): Promise<void>
  /** Drains, then resolves. */
  stop(): Promise<void>
}

export interface RunOptions {
  logger: Logger
  /** How long stopping may take in all, in milliseconds, before the process exits with 1. */
  deadlineMs: number
}

/**
 * Starts the parts in order, says `ready`, and stops them in reverse order on SIGTERM or SIGINT. Then the process
 * exits: 0 after a clean stop, 1 when a part could not start or stop, or when an error reached nobody.
 */
export async function runUntilSignal(parts: readonly Component[], { logger, deadlineMs }: RunOptions): Promise<never> {
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
  const failed = await startAll(parts, started, stopping.signal, logger)
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
  parts: readonly Component[],
  started: Component[],
  signal: AbortSignal,
  logger: Logger,
): Promise<boolean> {
  for (const part of parts) {
    if (signal.aborted) return false
    started.push(part)
    try {
      await part.start(signal)
    } catch (error) {
      if (signal.aborted) return false
      logger.error('could not start', { part: part.name, ...explain(error) })
      return true
    }
  }
  return false
}

async function stopAll(started: readonly Component[], logger: Logger): Promise<boolean> {
  let unclean = false
  for (const part of started.toReversed()) {
    try {
      await part.stop()
    } catch (error) {
      unclean = true
      logger.error('could not stop cleanly', { part: part.name, error })
    }
  }
  return unclean
}
