import type { Logger } from '@cashflow/runtime'
import { Problem } from './problem.ts'

export interface QueueOptions {
  /** For the log. */
  name: string
  /** How much work runs at the same time. */
  runningMax: number
  /** How much may wait for its turn. */
  waitingMax: number
  /** How long, in milliseconds. Who begins any later has no time left for its work, and takes that of others. */
  waitMaxMs?: number
  logger: Logger
}

export interface Queue {
  /** How many work now. */
  readonly running: number
  /** How many wait now. */
  readonly waiting: number
  /**
   * Does the work when its turn comes.
   *
   * @throws Problem `overloaded`, at once, when too many wait, or when it has waited too long; the signal's reason when it
   *   aborts before the turn has come
   */
  run<Result>(work: () => Promise<Result>, signal: AbortSignal): Promise<Result>
}

const RETRY_AFTER_S = 1
/** Half of the time that a request has. */
const WAIT_MAX_MS = 2_500

/** First come, first served, by at most so many at once; beyond so many that wait nobody is let in, nor waits for long. */
export function createQueue({ name, runningMax, waitingMax, waitMaxMs = WAIT_MAX_MS, logger }: QueueOptions): Queue {
  const waiting = new Set<() => void>()
  let running = 0
  let refused = 0

  function turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (running < runningMax) {
      running += 1
      return Promise.resolve()
    }
    if (waiting.size >= waitingMax) throw refuse()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const leave = (reason: unknown) => {
      waiting.delete(begin)
      reject(reason)
    }
    const gone = () => leave(signal.reason)
    const late = setTimeout(() => leave(refuse()), waitMaxMs)
    const begin = () => resolve()
    waiting.add(begin)
    signal.addEventListener('abort', gone)
    return promise.finally(() => {
      clearTimeout(late)
      signal.removeEventListener('abort', gone)
    })
  }

  function refuse(): Problem {
    refused += 1
    if (refused === 1) logger.warn('overloaded, refusing requests', { queue: name, running, waiting: waiting.size })
    return new Problem('overloaded', 'Too many requests wait for the database. Send the same request again.', {
      headers: { 'Retry-After': String(RETRY_AFTER_S) },
    })
  }

  function next(): void {
    const [begin] = waiting
    if (begin) {
      // It takes the place of the one that has ended.
      waiting.delete(begin)
      begin()
      return
    }
    running -= 1
    if (refused > 0) logger.warn('no longer overloaded', { queue: name, refused })
    refused = 0
  }

  return {
    get running() {
      return running
    },
    get waiting() {
      return waiting.size
    },
    async run(work, signal) {
      await turn(signal)
      try {
        return await work()
      } finally {
        next()
      }
    },
  }
}
