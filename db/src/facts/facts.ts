import { type Loops, pause } from '@cashflow/async'
import { COUNTED_MAX, countDeadLetters, outboxBacklog, type TopicBacklog } from '@cashflow/outbox'
import { backgroundComponent, type Component, createCondition, type Logger } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { countInstances, type RoleCount } from '../instances/instances.ts'
import { isAway } from '../postgres/errors.ts'
import { withBeats } from '../postgres/with-beats.ts'
import type { Tables } from '../tables.ts'
import { type OldestXmin, readOldestXmin } from './oldest-xmin.ts'
import { type PendingFacts, readPending } from './pending.ts'
import { readSettled, type SettledSpan, WITHIN_SECONDS } from './settled.ts'
import { countSynchronousStandbys } from './standbys.ts'
import { readWebhooks, type WebhookFacts } from './webhooks.ts'

const LOOK_MS = 5_000
// A process rests nine times as long as the look took, at most half a minute.
const LOOK_REST = 9
const LOOK_REST_MAX_MS = 30_000

/** What one look found. A part is undefined if PostgreSQL cannot read a row or a page of it. */
export interface DatabaseFacts {
  readonly backlog: readonly TopicBacklog[] | undefined
  readonly pending: PendingFacts | undefined
  readonly deadLetters: readonly { readonly source: string; readonly letters: number }[] | undefined
  readonly oldestXmin: OldestXmin | undefined
  /** Undefined also if the role may not see standbys. */
  readonly synchronousStandbys: number | undefined
  /** Whether this process requires one. */
  readonly standbyRequired: boolean
  readonly instances: readonly RoleCount[] | undefined
  readonly webhooks: WebhookFacts | undefined
}

/** Payments that this process has counted since it started, 70 seconds after they were created. */
export interface SettledTotals {
  readonly created: number
  /** How many of them were settled within 1, 5 and 60 seconds. */
  readonly settled: SettledSpan['settled']
  /** True if the last span had more than 10,000 payments, so that the others were left out. */
  readonly capped: boolean
}

export interface Facts extends Component {
  /** What the last look that succeeded found. */
  readonly last: DatabaseFacts | undefined
  /** Time since that look, in milliseconds. Since the process started, if there was none. */
  readonly ageMs: number
  readonly totals: SettledTotals
}

export interface FactsOptions {
  db: Kysely<Tables>
  /** Whether a COMMIT has to wait for a standby. */
  standbyRequired: boolean
  logger: Logger
  /** Time between two looks, in milliseconds. Default: 5,000. */
  lookMs?: number
}

/**
 * Looks at the database every 5 seconds and keeps what it found, so that no scrape waits for PostgreSQL. Each process of a
 * deployment finds the same, except for its own `totals`.
 */
export function createFacts({ db: pool, standbyRequired, logger, lookMs = LOOK_MS }: FactsOptions): Facts {
  const stopping = new AbortController()
  const { signal } = stopping
  const unseen = createCondition(logger, {
    message: 'could not read the facts of the database, trying again',
    ended: 'the facts of the database can be read again',
  })
  let last: DatabaseFacts | undefined
  let lookedAt = 0 // As performance.now(), which begins with the process.
  let countedToMs: number | undefined
  let totals: SettledTotals = { created: 0, settled: { 1: 0, 5: 0, 60: 0 }, capped: false }

  async function look(db: Kysely<Tables>): Promise<void> {
    let failure: unknown
    // A part that PostgreSQL refuses, such as one whose table is locked or has many dead tuples, leaves out no other part.
    const part = <Part>(read: Promise<Part>) =>
      read.catch((error: unknown) => {
        if (isAway(error)) throw error
        failure = error
        return undefined
      })
    // One after the other, so that a look takes one session. The first one shows why others may be slow.
    const oldestXmin = await part(readOldestXmin(db))
    const found = {
      oldestXmin,
      standbyRequired,
      synchronousStandbys: await part(countSynchronousStandbys(db)),
      backlog: await part(outboxBacklog(db)),
      pending: await part(readPending(db)),
      deadLetters: await part(countDeadLetters(db, { limit: COUNTED_MAX + 1 })),
      instances: await part(countInstances(db)),
      webhooks: await part(readWebhooks(db)),
    }
    const span = await part(readSettled(db, countedToMs))
    if (span) {
      countedToMs = span.toMs
      totals = add(totals, span)
    }
    last = found
    lookedAt = performance.now()
    if (failure !== undefined) unseen.holds({ error: failure })
    else unseen.ended()
  }

  async function run(loops: Loops): Promise<void> {
    const loop = loops.begin('facts of the database')
    while (!signal.aborted) {
      loop.beat()
      const startedAt = performance.now()
      const tookMs = await look(withBeats(pool, loop)).then(
        () => performance.now() - startedAt,
        (error: unknown) => {
          if (!signal.aborted) unseen.holds({ error })
          return 0 // PostgreSQL is away, and did no work.
        },
      )
      loop.beat()
      await pause(Math.max(lookMs, Math.min(LOOK_REST_MAX_MS, LOOK_REST * tookMs)), signal)
    }
  }

  return {
    // The stop does not wait for a look: a silent server would keep the process from stopping in time.
    ...backgroundComponent('facts of the database', run, stopping, { isAwaited: false }),
    get last() {
      return last
    },
    get ageMs() {
      return performance.now() - lookedAt
    },
    get totals() {
      return totals
    },
  }
}

function add(totals: SettledTotals, { created, settled }: SettledSpan): SettledTotals {
  const sum = { ...totals.settled }
  for (const seconds of WITHIN_SECONDS) sum[seconds] += settled[seconds]
  return { created: totals.created + created, settled: sum, capped: created > COUNTED_MAX }
}
