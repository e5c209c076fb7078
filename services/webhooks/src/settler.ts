import { pause } from '@cashflow/async'
import { createGroupCommit, isPermanent, type Tables } from '@cashflow/db'
import {
  type Disabling,
  disableFailing,
  type EndedAttempt,
  LOCKED,
  type SettledAttempt,
  settleDeliveries,
} from '@cashflow/db/webhooks'
import type { Logger } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { DISABLED_AFTER, LEASE_MS } from './limits.ts'

const BATCH_MAX = 256
/** Outcomes gather for this long, or until there are this many: a transaction costs more than what it stores. */
const GATHER_MS = 50
const GATHERED_MAX = 32
const AGAIN_MS = 200
/** A claim locks an endpoint's queue for some milliseconds. */
const LOCKED_AGAIN_MS = 5
/** 410: the endpoint wants no webhook any more (Standard Webhooks 1.0.0). */
const GONE = 410

export type Settler = ReturnType<typeof createSettler>

export interface SettlerOptions {
  db: Kysely<Tables>
  /** Called when an endpoint was disabled. */
  onDisabled?: (reason: Disabling['reason']) => void
  logger: Logger
}

/** Stores the outcomes of attempts, those of about the same time in one transaction, and disables endpoints that fail. */
export function createSettler({ db, onDisabled = () => {}, logger }: SettlerOptions) {
  const group = createGroupCommit<EndedAttempt, SettledAttempt | typeof LOCKED>({
    commit: (attempts) => settleDeliveries(db, attempts),
    batchMax: BATCH_MAX,
    writersMax: 1,
    aloneMax: 4,
  })

  let gathering: { count: number; readonly full: AbortController; readonly ended: Promise<void> } | undefined

  /** Resolves for all at the same time, so that they join one batch. */
  function gathered(): Promise<void> {
    if (!gathering) {
      const full = new AbortController()
      const ended = pause(GATHER_MS, full.signal).then(() => {
        gathering = undefined
      })
      gathering = { count: 0, full, ended }
    }
    const { full, ended } = gathering
    gathering.count += 1
    if (gathering.count >= GATHERED_MAX) full.abort()
    return ended
  }

  async function store(attempt: EndedAttempt): Promise<SettledAttempt> {
    const giveUpAt = performance.now() + LEASE_MS
    await gathered()
    for (let lockedMs = LOCKED_AGAIN_MS; ; lockedMs = Math.min(AGAIN_MS, 2 * lockedMs)) {
      try {
        const settled = await group.commit(attempt)
        if (settled !== LOCKED) return settled
        if (performance.now() > giveUpAt) throw new Error('another session has locked the queue of the endpoint')
      } catch (error) {
        if (isPermanent(error) || performance.now() > giveUpAt) throw error
        await pause(AGAIN_MS)
      }
      await pause(lockedMs)
    }
  }

  async function disable(attempt: EndedAttempt, { failures, failingMs }: SettledAttempt): Promise<void> {
    const reason = disablingReason(attempt, { failures, failingMs })
    if (reason === undefined) return
    const { endpointId, url } = attempt
    try {
      if (!(await disableFailing(db, { endpointId, url, reason }))) return
    } catch (error) {
      // The next attempt fails as well.
      return logger.warn('webhook endpoint could not be disabled, trying again', { endpoint_id: endpointId, error })
    }
    logger.warn('webhook endpoint disabled', { endpoint_id: endpointId, reason, failures, failing_ms: failingMs })
    onDisabled(reason)
  }

  /**
   * Stores the outcome of an attempt. Never rejects: what cannot be stored until the lease ends is attempted again.
   *
   * @returns undefined if it was not stored
   */
  return {
    async settle(attempt: EndedAttempt): Promise<SettledAttempt | undefined> {
      const facts = { endpoint_id: attempt.endpointId, delivery_id: attempt.id }
      try {
        const settled = await store(attempt)
        if (!settled.isHeld)
          logger.warn('outcome of a webhook was not stored: it is stored already, or its lease had ended', facts)
        await disable(attempt, settled)
        return settled
      } catch (error) {
        logger.error('outcome of a webhook could not be stored, it is sent again', { ...facts, error })
        return undefined
      }
    },
  }
}

function disablingReason(
  { status }: EndedAttempt,
  { failures, failingMs }: Pick<SettledAttempt, 'failures' | 'failingMs'>,
): Disabling['reason'] | undefined {
  if (status === GONE) return 'gone'
  const isLong = failingMs >= DISABLED_AFTER.failingMs && failures >= DISABLED_AFTER.failures
  return isLong ? 'failing' : undefined
}
