interface LimiterOptions {
  /** Number of slots: of callers that run at the same time. */
  runningMax: number
  /** Number of callers that may wait for a slot. Default: any number. */
  waitingMax?: number
  /** Maximum wait for a slot, in milliseconds. Default: forever. */
  waitMaxMs?: number
}

/** The caller gets no slot: too many callers wait already, or this one waited too long. */
export class LimitError extends Error {
  readonly code: 'queue_full' | 'waited_too_long'

  constructor(code: LimitError['code'], message: string) {
    super(message)
    this.code = code
  }
}

export type Limiter = ReturnType<typeof createLimiter>

/** Creates a FIFO concurrency limit. Each acquired slot must be released once. */
export function createLimiter({ runningMax, waitingMax = Number.POSITIVE_INFINITY, waitMaxMs }: LimiterOptions) {
  const waiting = new Set<() => void>()
  let running = 0

  /** Takes a slot if one is free. Returns whether it did. */
  function tryAcquire(): boolean {
    if (running >= runningMax) return false
    running += 1
    return true
  }

  async function wait(signal: AbortSignal | undefined, waitMaxMs: number | undefined): Promise<void> {
    if (waiting.size >= waitingMax) throw new LimitError('queue_full', `${waitingMax} callers wait already`)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    // The caller leaves the queue in the same tick. A release must never hand a slot to a caller that no longer waits.
    const leave = (reason: unknown) => {
      waiting.delete(resolve)
      reject(reason)
    }
    const giveUp = () => leave(signal?.reason)
    const late = () => leave(new LimitError('waited_too_long', `no slot within ${waitMaxMs} ms`))
    const timer = waitMaxMs === undefined ? undefined : setTimeout(late, waitMaxMs)
    waiting.add(resolve)
    signal?.addEventListener('abort', giveUp)
    try {
      await promise
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', giveUp)
    }
  }

  return {
    get running(): number {
      return running
    },
    get waiting(): number {
      return waiting.size
    },
    tryAcquire,
    /**
     * Resolves when the caller has a slot. Waiting callers get slots in the order of their calls.
     *
     * @param ownWaitMaxMs replaces `waitMaxMs` for this caller
     * @throws LimitError immediately when `waitingMax` callers wait, or after `waitMaxMs`
     * @throws the signal's reason when it aborts
     */
    async acquire(signal?: AbortSignal, ownWaitMaxMs = waitMaxMs): Promise<void> {
      signal?.throwIfAborted()
      if (!tryAcquire()) await wait(signal, ownWaitMaxMs)
    },
    /** Releases slots. The callers that have waited longest get them. */
    release(slots = 1): void {
      running -= slots
      for (const begin of waiting) {
        if (!tryAcquire()) return
        waiting.delete(begin)
        begin()
      }
    },
  }
}
