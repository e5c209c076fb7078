import { setTimeout as sleep } from 'node:timers/promises'
import type { Tables } from '@cashflow/db'
import { type Floors, verifyFloors } from '@cashflow/outbox'
import { createCondition, type Logger } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { concernsMessages } from './concerns-messages.ts'

const VERIFY_MS = 10_000
// Looking below the floors is at most a hundredth of what a relay does.
const VERIFY_REST = 99

/** Looks below the floors until the signal aborts. A failed look says nothing about them: lost sessions have them forgotten. */
export async function watchFloors(
  { db, floors, logger }: { db: Kysely<Tables>; floors: Floors; logger: Logger },
  signal: AbortSignal,
): Promise<void> {
  const unseen = createCondition(logger, {
    message: 'could not look below the floors',
    over: 'all floors are looked below again',
  })
  let tookMs = 0
  for (;;) {
    await sleep(Math.max(VERIFY_MS, VERIFY_REST * tookMs), undefined, { signal }).catch(() => {}) // Only abort rejects.
    if (signal.aborted) return
    const startedAt = performance.now()
    const lanes: number[] = []
    let failure: unknown
    const onUnreadable = (error: unknown, lane?: number) => {
      failure = error
      if (lane !== undefined) lanes.push(lane)
    }
    const wrong = await verifyFloors(db, floors, signal, { isRowsOwn: concernsMessages, onUnreadable }).catch(
      (error) => void onUnreadable(error),
    )
    if (wrong) logger.error('message found below its floor, floors forgotten', wrong)
    if (failure !== undefined) unseen.holds({ ...(lanes.length > 0 && { lanes }), error: failure })
    else unseen.isOver()
    tookMs = performance.now() - startedAt
  }
}
