import { type Loops, pause } from '@cashflow/async'
import { backgroundComponent, type Component, createCondition, type Logger } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { withBeats } from '../postgres/with-beats.ts'
import type { Tables } from '../tables.ts'
import { sampleOnce } from './sample.ts'

/** Time to the next attempt after one that failed, so that a short outage leaves out no slot. */
const RETRY_MS = 2_000

/**
 * Samples the numbers of the charts every 10 seconds, by the clock of PostgreSQL. Any number of processes may sample: one of
 * them writes each slot.
 */
export function createSampler({ db: pool, logger }: { db: Kysely<Tables>; logger: Logger }): Component {
  const stopping = new AbortController()
  const { signal } = stopping
  const unsampled = createCondition(logger, {
    message: 'could not store the numbers of the charts, trying again',
    ended: 'the numbers of the charts are stored again',
  })

  async function run(loops: Loops): Promise<void> {
    const loop = loops.begin('chart sampler')
    const db = withBeats(pool, loop)
    while (!signal.aborted) {
      loop.beat()
      const startedAt = performance.now()
      const restMs = await sampleOnce(db).then(
        ({ nextMs, unread }) => {
          if (unread === undefined) unsampled.ended()
          else unsampled.holds({ error: unread })
          return nextMs - (performance.now() - startedAt)
        },
        (error: unknown) => {
          if (!signal.aborted) unsampled.holds({ error })
          return RETRY_MS
        },
      )
      loop.beat()
      await pause(Math.max(0, restMs), signal)
    }
  }

  // The stop does not wait for a sample: a silent server would keep the process from stopping in time.
  return backgroundComponent('chart sampler', run, stopping, { isAwaited: false })
}
