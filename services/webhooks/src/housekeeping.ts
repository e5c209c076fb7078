import { type Loops, pause, type WakeSignal } from '@cashflow/async'
import { type Tables, withBeats } from '@cashflow/db'
import { ItemsError, pruneChecks, pruneDeliveries, replayPage } from '@cashflow/db/webhooks'
import { backgroundComponent, type Component, createCondition, type Logger } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { bodyOf } from './body.ts'

const PRUNE_EVERY_MS = 600_000
const PRUNED_MAX = 1_000
/** Between two steps, so that pruning takes a small share of the database. */
const PRUNE_REST_MS = 200
const REPLAY_AGAIN_MS = 200
const REPLAY = { eventsMax: 200, unfinishedMax: 1_000, bodyOf } as const
const AGAIN_MS = 1_000
const IDLE_MS = 60_000
const FIRST_REPLAY = '00000000-0000-0000-0000-000000000000'

interface Options {
  db: Kysely<Tables>
  logger: Logger
}

/**
 * Works off the replays that merchants have asked for, page by page and in turns. One whose events cannot be read does not
 * stop the others.
 */
export function createReplays({
  db: shared,
  wake,
  onDue,
  logger,
}: Options & { wake: WakeSignal; onDue: () => void }): Component {
  const stopping = new AbortController()
  const { signal } = stopping
  const failed = createCondition(logger, {
    message: 'a replay of webhooks could not go on, trying again',
    ended: 'replays of webhooks go on',
  })

  async function run(loops: Loops): Promise<void> {
    const loop = loops.begin('replays')
    const db = withBeats(shared, loop)
    let after = FIRST_REPLAY
    while (!signal.aborted) {
      loop.beat()
      try {
        const page = await replayPage(db, after, REPLAY)
        failed.ended()
        if (page) {
          after = page.replayId
          if (page.deliveries > 0) onDue()
          if (page.isFinished)
            logger.info('replay of webhooks finished', { replay_id: page.replayId, endpoint_id: page.endpointId })
        }
        if (!page || page.isStopped) {
          await wake.wait({ atMostMs: IDLE_MS, signal })
          await pause(REPLAY_AGAIN_MS, signal)
        }
      } catch (error) {
        const isOne = error instanceof ItemsError
        if (isOne) after = error.ids[0] ?? after
        failed.holds({ error: isOne ? error.cause : error, replay_id: isOne ? error.ids[0] : undefined })
        await pause(AGAIN_MS, signal)
      }
    }
  }

  return backgroundComponent('replays', run, stopping)
}

/** Deletes finished deliveries and checks that are older than `keptMs`, in small steps. */
export function createPruning({ db: shared, keptMs, logger }: Options & { keptMs: number }): Component {
  const stopping = new AbortController()
  const { signal } = stopping
  const failed = createCondition(logger, {
    message: 'old webhook deliveries could not be deleted, trying again',
    ended: 'old webhook deliveries are deleted again',
  })

  async function run(loops: Loops): Promise<void> {
    const loop = loops.begin('pruning')
    const db = withBeats(shared, loop)
    while (!signal.aborted) {
      loop.beat()
      try {
        const pruned = Math.max(
          await pruneDeliveries(db, { keptMs, limit: PRUNED_MAX }),
          await pruneChecks(db, { keptMs, limit: PRUNED_MAX }),
        )
        failed.ended()
        await (pruned < PRUNED_MAX ? loop.outwait(pause(PRUNE_EVERY_MS, signal)) : pause(PRUNE_REST_MS, signal))
      } catch (error) {
        failed.holds({ error })
        await loop.outwait(pause(IDLE_MS, signal))
      }
    }
  }

  return backgroundComponent('pruning', run, stopping, { isAwaited: false })
}
