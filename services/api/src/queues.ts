import type { Logger } from '@cashflow/runtime'
import { CHANGES_MAX, LISTS_MAX, READS_MAX, WRITES_MAX } from './limits.ts'
import { createRequestQueue, type RequestQueue } from './request-queue.ts'

export interface QueuesOptions {
  /** Number of requests that may wait in each queue. */
  queueMax: number
  /** As in a request queue. */
  waitMaxMs?: number | undefined
  /** Numbers of requests that run at the same time. */
  max?: Partial<Record<keyof Queues, number | undefined>>
  logger: Logger
}

export interface Queues {
  readonly writes: RequestQueue
  readonly reads: RequestQueue
  readonly lists: RequestQueue
  readonly changes: RequestQueue
}

/** Reads, lists, writes and changes have a queue each, so that none delays the others. */
export function createQueues({ queueMax: waitingMax, waitMaxMs, max = {}, logger }: QueuesOptions): Queues {
  const queue = (name: keyof Queues, runningMax: number, onePerMerchant = false) =>
    createRequestQueue({
      ...{ name, runningMax: max[name] ?? runningMax, waitingMax, onePerMerchant, logger },
      ...(waitMaxMs !== undefined && { waitMaxMs }),
    })
  return {
    writes: queue('writes', WRITES_MAX),
    reads: queue('reads', READS_MAX),
    lists: queue('lists', LISTS_MAX, true),
    changes: queue('changes', CHANGES_MAX, true),
  }
}
