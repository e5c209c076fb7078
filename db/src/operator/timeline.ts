import { findDeadLettersOf, findMessages, type UnpublishedMessage } from '@cashflow/outbox'
import type { Kysely, Transaction } from 'kysely'
import { type Pause, readPauses } from '../pauses/pauses.ts'
import { type PaymentView, toView, VIEW, type Waiting } from '../payments/view.ts'
import { placeOfUuid } from '../postgres/pages.ts'
import type { Tables } from '../tables.ts'
import { checkHistory } from '../verify/check-history.ts'
import type { Finding } from '../verify/finding.ts'
import { readHistories } from '../verify/histories.ts'
import { readDeliveriesOf, type TimelineDelivery } from './webhook-timeline.ts'

/** What happened to a payment at a time. */
export interface TimelineEntry {
  readonly at: Date
  /** The type of the event, the act of the operator, or what else happened. */
  readonly what: string
  /** A service, an instance of one, or an operator. Null where it is not stored. */
  readonly by: string | null
  readonly facts: Readonly<Record<string, unknown>>
}

/** All that is stored about a payment, as one snapshot shows it. */
export interface Timeline {
  readonly payment: PaymentView
  /** Null if the payment was sent without one. */
  readonly idempotencyKey: string | null
  readonly counts: { readonly attempts: number; readonly refusals: number; readonly redrives: number }
  /** Null unless a worker holds the payment, or held it when it died. */
  readonly leaseUntil: Date | null
  readonly redriveAt: Date | null
  readonly entries: readonly TimelineEntry[]
  /** The id of the dead letter that waits for an operator. Null if there is none. */
  readonly deadLetter: string | null
  /** Messages of the payment that no broker has confirmed yet. */
  readonly messages: readonly UnpublishedMessage[]
  /** Deliveries of its events to webhook endpoints. Those that were pruned are missing. */
  readonly deliveries: readonly TimelineDelivery[]
  /** Pauses in force: they delay every payment. */
  readonly pauses: readonly Pause[]
  /** What happened and is not stored, such as how an earlier version settled the payment. */
  readonly notRecorded: readonly string[]
  /** What `verify` finds in the payment, its events and their hashes. */
  readonly findings: readonly Finding[]
  /** Time of the snapshot, by PostgreSQL's clock. */
  readonly now: Date
}

/** What a PENDING payment waits for, for people: `It waits for` and one of these. */
export const WAITS_FOR = {
  queue: 'its first worker',
  provider: 'the provider. A worker has it, and no other one may claim it before its lease ends',
  worker: 'another worker. Its lease has ended, so its worker has probably died',
  retry: 'its next attempt',
  pending: 'the provider, which has not decided yet. It is asked again',
  operator: 'an operator. It is parked: requeue its dead letter, or settle it',
} as const satisfies Record<Waiting['for'], string>

const ACTIONS_MAX = 1_000

/** Reads the timeline of a payment of any merchant. Undefined if no payment has the id. */
export function readTimeline(db: Kysely<Tables>, id: string): Promise<Timeline | undefined> {
  // One snapshot for all tables. A payment that is settled during the reads appears as it was before, in all of them.
  const snapshot = db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only')
  return snapshot.execute(async (tx) => {
    const row = await readRow(tx, id)
    if (!row) return undefined
    const events = await readEvents(tx, id)
    const attempts = await readAttempts(tx, id)
    const letters = await findDeadLettersOf(tx, id)
    const actions = await readActions(tx, id)
    const deliveries = await readDeliveriesOf(tx, id)
    const entries = [
      ...events.flatMap(entriesOfEvent),
      ...attempts.map(entryOfAttempt),
      ...letters.flatMap(entriesOfLetter),
      ...actions.map(entryOfAction),
      ...deliveries.flatMap(entriesOfDelivery),
    ]
    return {
      payment: toView(row),
      idempotencyKey: row.idempotency_key,
      counts: { attempts: row.attempts, refusals: row.refusals, redrives: row.redrives },
      leaseUntil: row.claim_token === null ? null : row.lease_until,
      redriveAt: row.redrive_at,
      // The sort is stable: at the same time, the event comes before the rest.
      // A time without a date, such as infinity, is a number. Only a change by hand stores one.
      entries: entries.toSorted((one, other) => Number(one.at) - Number(other.at)),
      deadLetter: letters.find(({ resolvedAt }) => resolvedAt === null)?.id ?? null,
      messages: await findMessages(tx, id),
      deliveries,
      pauses: (await readPauses(tx)).filter(({ isInForce }) => isInForce),
      notRecorded: [...unrecorded(row, events, attempts)],
      findings: await readFindings(tx, id),
      now: row.now,
    }
  })
}

function readRow(tx: Transaction<Tables>, id: string) {
  return tx
    .selectFrom('payments')
    .select(VIEW)
    .select([
      'idempotency_key',
      'attempts',
      'refusals',
      'redrives',
      'claim_token',
      'lease_until',
      'redrive_at',
      'parked_at',
    ])
    .select((eb) => eb.fn<Date>('now').as('now'))
    .where('id', '=', id)
    .executeTakeFirst()
}

function readEvents(tx: Transaction<Tables>, id: string) {
  return tx
    .selectFrom('payment_events')
    .select(['sequence', 'type', 'data', 'actor', 'request_id', 'created_at', 'trace'])
    .where('payment_id', '=', id)
    .orderBy('sequence')
    .execute()
}

/** A payment has few: see `recordAttempts`. */
function readAttempts(tx: Transaction<Tables>, id: string) {
  return tx
    .selectFrom('payment_attempts')
    .select(['at', 'kind', 'actor', 'attempts', 'data'])
    .where('payment_id', '=', id)
    .orderBy('id')
    .execute()
}

async function readActions(tx: Transaction<Tables>, id: string) {
  return await tx
    .selectFrom('operator_actions')
    .select(['at', 'actor', 'via', 'action', 'reason', 'before', 'after'])
    .where('target', '=', id)
    .orderBy('id')
    .limit(ACTIONS_MAX)
    .execute()
}

async function readFindings(tx: Transaction<Tables>, id: string): Promise<readonly Finding[]> {
  const { histories } = await readHistories(tx, placeOfUuid(id) - 1n, placeOfUuid(id), 1)
  return histories.flatMap((history) => checkHistory(history).findings)
}

type Row = NonNullable<Awaited<ReturnType<typeof readRow>>>
type EventRow = Awaited<ReturnType<typeof readEvents>>[number]
type AttemptRow = Awaited<ReturnType<typeof readAttempts>>[number]
type LetterRow = Awaited<ReturnType<typeof findDeadLettersOf>>[number]
type ActionRow = Awaited<ReturnType<typeof readActions>>[number]

const MOMENTS = [
  ['claimed_at', 'claimed'],
  ['asked_at', 'provider asked'],
  ['answered_at', 'provider answered'],
] as const

/** The event, and what a worker noted about the attempt that led to it, by the worker's clock. */
function entriesOfEvent({ type, sequence, data, actor, request_id, created_at, trace }: EventRow): TimelineEntry[] {
  const { instance, attempt, traceparent, ...rest } = (trace ?? {}) as Readonly<Record<string, unknown>>
  const by = typeof instance === 'string' ? instance : actor
  const moments = MOMENTS.flatMap(([member, what]): TimelineEntry[] => {
    const at = new Date(String(rest[member]))
    return Number.isNaN(at.getTime()) ? [] : [{ at, what, by, facts: what === 'claimed' ? { attempt } : {} }]
  })
  const facts = {
    ...{ sequence, ...(data as object) },
    ...(request_id !== null && { request_id }),
    ...(typeof traceparent === 'string' && { trace_id: traceparent.split('-')[1] }),
  }
  return [...moments, { at: created_at, what: type, by: actor, facts }]
}

function entryOfAttempt({ at, kind, actor, attempts, data }: AttemptRow): TimelineEntry {
  const { attempt, delay_ms: delayMs, ...rest } = data as Readonly<Record<string, unknown>>
  const facts = {
    ...(attempt !== undefined && { attempt }),
    // An attempt that does not count leaves it as it was, and a pending answer sets it to 0.
    ...(attempts !== null && { attempts_after: attempts }),
    ...rest,
    // Earlier versions stored fractions.
    ...(typeof delayMs === 'number' && { delay_ms: Math.ceil(delayMs) }),
  }
  return { at, what: kind, by: actor, facts }
}

function entriesOfLetter({ id, source, topic, reason, diedAt, resolvedAt, resolution }: LetterRow): TimelineEntry[] {
  const died = { at: diedAt, what: 'dead letter', by: source, facts: { id, topic, reason } }
  if (!resolvedAt) return [died]
  return [died, { at: resolvedAt, what: 'dead letter resolved', by: null, facts: { id, resolution } }]
}

function entryOfAction({ at, actor, via, action, reason, before, after }: ActionRow): TimelineEntry {
  return { at, what: action, by: actor, facts: { via, reason, before, after } }
}

/** The time of an attempt is that of its start. */
function entriesOfDelivery({ id, sequence, endpointId, host, attemptsMade }: TimelineDelivery): TimelineEntry[] {
  return attemptsMade.map(({ at, durationMs, status, error }) => ({
    at,
    what: status !== null && status >= 200 && status < 300 ? 'webhook delivered' : 'webhook failed',
    by: host,
    facts: { sequence, delivery: id, endpoint: endpointId, status, error, duration_ms: durationMs },
  }))
}

/** Versions before this history stored neither traces nor attempts. */
function* unrecorded(row: Row, events: readonly EventRow[], attempts: readonly AttemptRow[]): Generator<string> {
  if (!events.some(({ sequence }) => sequence === 1)) yield 'its creation'
  const terminal = events.find(({ type }) => type === 'payment.succeeded' || type === 'payment.failed')
  if (row.status !== 'PENDING' && !terminal) yield 'its settlement'
  if (terminal?.actor === 'worker' && terminal.trace === null) yield 'when a worker claimed it and asked the provider'
  if (row.attempts > 0 && attempts.length === 0) yield `its ${row.attempts} attempts without an outcome`
  if (row.parked_at && !attempts.some(({ kind }) => kind === 'parked')) yield 'who parked it'
}
