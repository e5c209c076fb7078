import { randomUUID } from 'node:crypto'
import { errorMessage, type Loops, pause, type WakeSignal } from '@cashflow/async'
import { type Tables, withBeats } from '@cashflow/db'
import { type ClaimedCheck, claimCheck, finishCheck, releaseCheck } from '@cashflow/db/webhooks'
import { backgroundComponent, type Component, createCondition, type Logger } from '@cashflow/runtime'
import {
  CHECK_MS,
  checkReceiver,
  type ReceiverReport,
  reportJson,
  type SecretBox,
  type Sender,
} from '@cashflow/webhook-sender'
import type { Kysely } from 'kysely'

/** Checks of this process at a time. */
const CHECKS_MAX = 64
/** Longer than a check and the storing of its report take. */
const LEASE_MS = CHECK_MS + 60_000
/** A check that was begun this often has ended its process each time. */
const STARTS_MAX = 3
/** Longest wait for work. The look of the fan-out wakes the loop. */
const IDLE_MS = 30_000
const AGAIN_MS = 1_000
const STORE_AGAIN_MS = 500

export interface ChecksOptions {
  db: Kysely<Tables>
  sender: Sender
  secrets: SecretBox
  /** Ends the wait for work. */
  wake: WakeSignal
  logger: Logger
}

/**
 * Runs the checks of receivers that merchants ask for. It sends nothing that counts as a delivery. A stop gives checks under
 * way back, and another process begins them.
 */
export function createChecks({ db: shared, sender, secrets, wake, logger }: ChecksOptions): Component {
  const stopping = new AbortController()
  const { signal } = stopping
  const underWay = new Set<Promise<void>>()
  const unclaimed = createCondition(logger, {
    message: 'could not look for checks of receivers, trying again',
    ended: 'checks of receivers are found again',
  })

  async function check({
    url,
    kind,
    isDeleted,
    starts,
    endpointId,
    ...claimed
  }: ClaimedCheck): Promise<ReceiverReport> {
    const startedAt = performance.now()
    // Nothing is tried any more: the report says so.
    const isOver = isDeleted || starts > STARTS_MAX
    return await checkReceiver({
      ...{ sender, url, kind },
      secrets: isOver ? [] : claimed.secrets.map((secret) => secrets.open(secret, endpointId)),
      // By the clock of the database, as deliveries.
      now: () => new Date(claimed.claimedAt.getTime() + performance.now() - startedAt),
      signal: isOver ? AbortSignal.abort() : signal,
    })
  }

  async function run(claimed: ClaimedCheck): Promise<void> {
    const { id, token, endpointId, kind } = claimed
    const facts = { check_id: id, endpoint_id: endpointId, kind }
    try {
      const report = await check(claimed)
      // What a stop has cut off is begun again by another process.
      if (signal.aborted && report.cases.some(({ result }) => result === 'not_tried'))
        return await releaseCheck(shared, { id, token })
      const isStored = await store(() => finishCheck(shared, { id, token, report: reportJson(report) }))
      if (isStored) logger.info('receiver of webhooks checked', { ...facts, result: report.result })
      else logger.warn('report of a check was not stored: its lease had ended', facts)
    } catch (error) {
      logger.error('check of a receiver failed, it begins again when its lease ends', {
        ...facts,
        error: errorMessage(error),
      })
    }
  }

  /** PostgreSQL may be away for a while. After the lease another process has begun the check. */
  async function store(write: () => Promise<boolean>): Promise<boolean> {
    for (const giveUpAt = performance.now() + LEASE_MS - CHECK_MS; ; await pause(STORE_AGAIN_MS, signal)) {
      try {
        return await write()
      } catch (error) {
        if (signal.aborted || performance.now() > giveUpAt) throw error
      }
    }
  }

  async function loop(loops: Loops): Promise<void> {
    const own = loops.begin('checks')
    const db = withBeats(shared, own)
    while (!signal.aborted) {
      own.beat()
      try {
        const isFull = underWay.size >= CHECKS_MAX
        const claimed = isFull ? undefined : await claimCheck(db, { token: randomUUID(), leaseMs: LEASE_MS })
        unclaimed.ended()
        if (!claimed) {
          await wake.wait({ atMostMs: IDLE_MS, signal })
          continue
        }
        const running = run(claimed).finally(() => {
          underWay.delete(running)
          wake.wake() // For the next check of its merchant.
        })
        underWay.add(running)
      } catch (error) {
        unclaimed.holds({ error })
        await pause(AGAIN_MS, signal)
      }
    }
    await own.outwait(Promise.all(underWay))
  }

  return backgroundComponent('checks', loop, stopping)
}
