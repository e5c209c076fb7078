import { COUNTED_MAX, countDeadLetters, outboxBacklog } from '@cashflow/outbox'
import type { Kysely } from 'kysely'
import type { DatabaseFacts } from '../facts/facts.ts'
import { readOldestXmin } from '../facts/oldest-xmin.ts'
import { readPending } from '../facts/pending.ts'
import { readSettled, type SettledSpan } from '../facts/settled.ts'
import { readWebhooks } from '../facts/webhooks.ts'
import { listInstances, type SeenInstance } from '../instances/instances.ts'
import { type LastPause, readPauses } from '../pauses/pauses.ts'
import { isAway } from '../postgres/errors.ts'
import type { Tables } from '../tables.ts'

/** How long the span of `settled` is, in milliseconds. */
export const SETTLED_SPAN_MS = 60_000

/** What an operator sees of the whole system. A part is undefined if PostgreSQL cannot read a row or a page of it. */
export interface SystemStatus extends Omit<DatabaseFacts, 'instances' | 'synchronousStandbys' | 'standbyRequired'> {
  /** The payments that were created in one minute, which ended 70 seconds ago. */
  readonly settled: SettledSpan | undefined
  readonly instances: readonly SeenInstance[] | undefined
  readonly pauses: readonly LastPause[] | undefined
  /** Why parts are missing, by their names. */
  readonly unread: ReadonlyMap<string, unknown>
}

/**
 * Reads the state of the system, from PostgreSQL alone. Each part is a bounded read.
 *
 * @throws the error of a server that is away
 */
export async function readStatus(db: Kysely<Tables>): Promise<SystemStatus> {
  const unread = new Map<string, unknown>()
  const part = <Part>(name: string, read: Promise<Part>) =>
    read.catch((error: unknown) => {
      if (isAway(error)) throw error
      unread.set(name, error)
      return undefined
    })
  return {
    oldestXmin: await part('oldest_xmin', readOldestXmin(db)),
    backlog: await part('outbox', outboxBacklog(db)),
    pending: await part('pending', readPending(db)),
    deadLetters: await part('dead_letters', countDeadLetters(db, { limit: COUNTED_MAX + 1 })),
    settled: await part('settled', readLastMinute(db)),
    instances: await part('instances', listInstances(db)),
    pauses: await part('pauses', readPauses(db)),
    webhooks: await part('webhooks', readWebhooks(db)),
    unread,
  }
}

async function readLastMinute(db: Kysely<Tables>): Promise<SettledSpan> {
  const { toMs } = await readSettled(db, undefined) // By the database's clock.
  return await readSettled(db, toMs - SETTLED_SPAN_MS)
}
