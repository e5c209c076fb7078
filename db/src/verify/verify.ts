import { isUuid } from '@cashflow/domain'
import type { Kysely } from 'kysely'
import type { Operator } from '../operator/actions.ts'
import { ALL_UUIDS, ahead, placeOfUuid, readPages, type Span, uuidAt, whileAway } from '../postgres/pages.ts'
import type { Tables } from '../tables.ts'
import { type CheckedHistory, checkHistory, type Head } from './check-history.ts'
import { createComparison } from './comparison.ts'
import { type Finding, shortened, unreadable } from './finding.ts'
import { type HistoryPage, readHistories } from './histories.ts'
import { checkMessage, MESSAGE_TABLES, type MessageTable, readMessages, spanOf } from './messages.ts'
import { findPruned } from './pruned.ts'
import { SEALED_MAX, sealPayments } from './seal.ts'
import { verifyDeliveries, verifyFannedOut, type WebhookVerifying } from './verify-webhooks.ts'

/** Payments of a statement. It takes some 20 ms, and its rows some megabytes. */
const PAYMENTS_MAX = 2_000
const MESSAGES_MAX = 1_000

/** What was verified so far. */
export interface VerifiedCounts {
  payments: number
  events: number
  /** Messages about payments that are still to be published. */
  messages: number
  /** Deliveries of webhooks. */
  deliveries: number
  /** Payments with an event of an earlier version, which has no hash. */
  unsealed: number
  /** Those of them whose events before have hashes. A changed end whose hash was removed looks the same. */
  unsealedEnds: number
  /** Payments that this run has sealed. */
  sealed: number
  findings: number
  /** Payments that were compared with an earlier export. Undefined without one. */
  compared?: number
  /** Payments that are not in the earlier export, as they are newer than it. They were compared with nothing in it. */
  notInExport?: number
}

export interface VerifyOptions {
  /** Called for each finding, one at a time. They are not kept. */
  readonly report: (finding: Finding) => Promise<void>
  /** Called after each statement. */
  readonly onProgress?: (counts: Readonly<VerifiedCounts>) => void
  /** One payment. By default all, and all messages. */
  readonly paymentId?: string | undefined
  /** Leaves out payments that were created before, as their ids tell. */
  readonly since?: Date | undefined
  /** True if every event must have its hash. */
  readonly isSealed?: boolean
  /** Stores the hashes that events of earlier versions lack, as an act of this operator. */
  readonly sealsAs?: Operator | undefined
  /** Called for each payment with an unsealed end, before it is sealed. */
  readonly onUnsealedEnd?: ((paymentId: string) => Promise<void>) | undefined
  /** Called for each payment that could be read, in the order of their ids. */
  readonly onHead?: ((head: Head) => Promise<void> | void) | undefined
  /** The heads of an earlier export, in the order of their ids. */
  readonly against?: AsyncIterator<Head> | undefined
}

/**
 * Compares all payments with their events, their events with their hashes, and messages and webhooks with payments. A row that
 * PostgreSQL cannot read is a finding. Memory does not depend on the number of payments or findings.
 */
export async function verify(db: Kysely<Tables>, options: VerifyOptions): Promise<VerifiedCounts> {
  const counts: VerifiedCounts = {
    payments: 0,
    events: 0,
    messages: 0,
    deliveries: 0,
    unsealed: 0,
    unsealedEnds: 0,
    sealed: 0,
    findings: 0,
  }
  const report = async (finding: Finding) => {
    counts.findings += 1
    await options.report(finding)
  }
  const run: Run = { db, options, counts, report }
  await verifyPayments(run)
  const webhooks: WebhookVerifying = {
    db,
    report,
    onRead(deliveries) {
      counts.deliveries += deliveries
      options.onProgress?.(counts)
    },
  }
  await verifyDeliveries(webhooks, spanOfPayments(options))
  if (options.paymentId !== undefined) return counts
  await verifyFannedOut(webhooks)
  for (const table of MESSAGE_TABLES) await verifyMessages(run, table)
  return counts
}

interface Run {
  readonly db: Kysely<Tables>
  readonly options: VerifyOptions
  readonly counts: VerifiedCounts
  readonly report: (finding: Finding) => Promise<void>
}

async function verifyPayments(run: Run): Promise<void> {
  const { db, options, counts, report } = run
  const comparison = options.against && createComparison(db, options.against, report)
  const read = (after: bigint, to: bigint, limit: number) => readHistories(db, after, to, limit)
  const pages = readPages(read, spanOfPayments(options), options.sealsAs ? SEALED_MAX : PAYMENTS_MAX)
  // Sealing uses the connection in turn with reading.
  for await (const page of options.sealsAs ? pages : ahead(pages)) {
    if ('error' in page) {
      await report(unreadable(page.error, uuidAt(page.at)))
      await comparison?.skip(page.at)
      continue
    }
    const checked = await checkPage(run, page)
    await comparison?.compare(checked, page.upto)
    if (options.sealsAs) await seal(run, checked.filter(isToSeal), options.sealsAs)
    options.onProgress?.(counts)
  }
  Object.assign(counts, comparison?.counts)
}

/** Checks and reports the payments of a page. */
async function checkPage({ db, options, counts, report }: Run, { histories }: HistoryPage): Promise<CheckedHistory[]> {
  const orphans = histories.filter(({ payment }) => payment === undefined).map(({ id }) => id)
  const pruned = await findPruned(db, orphans)
  const checked: CheckedHistory[] = []
  for (const history of histories) {
    if (pruned.has(history.id)) continue // Some of its events are left.
    const one = checkHistory(history, options.isSealed)
    checked.push(one)
    for (const finding of one.findings) await report(finding)
    if (history.payment) counts.payments += 1
    counts.events += one.chain.length
    if (one.head?.isSealed === false) counts.unsealed += 1
    if (one.isEndUnsealed) counts.unsealedEnds += 1
    if (one.head) await options.onHead?.(one.head)
  }
  return checked
}

function isToSeal({ findings, head }: CheckedHistory): boolean {
  return findings.length === 0 && head?.isSealed === false
}

async function seal({ db, options, counts }: Run, unsealed: readonly CheckedHistory[], by: Operator): Promise<void> {
  const ends = unsealed.filter(({ isEndUnsealed }) => isEndUnsealed)
  for (const { id } of ends) await options.onUnsealedEnd?.(id)
  const ids = unsealed.map(({ id }) => id)
  const sealed = await whileAway(() => sealPayments(db, ids, by))
  counts.sealed += sealed.size
  counts.unsealed -= sealed.size
  counts.unsealedEnds -= ends.filter(({ id }) => sealed.has(id)).length
}

async function verifyMessages({ db, options, counts, report }: Run, table: MessageTable): Promise<void> {
  const read = (after: bigint, to: bigint, limit: number) => readMessages(db, table, { after, to, limit })
  for await (const page of ahead(readPages(read, spanOf(table), MESSAGES_MAX))) {
    if ('error' in page) {
      await report(unreadable(page.error, null, `${table}, place ${page.at}`))
      continue
    }
    const unknown = page.messages.filter(({ payment_id }) => payment_id === null)
    const pruned = await findPruned(db, unknown.map(({ key }) => key).filter(isUuid))
    for (const { key, topic } of unknown)
      if (!pruned.has(key))
        await report({
          paymentId: null,
          what: `key of a message ${topic}`,
          expected: 'a payment',
          found: shortened(key),
        })
    for (const message of page.messages) for (const finding of checkMessage(message)) await report(finding)
    counts.messages += page.messages.length
    options.onProgress?.(counts)
  }
}

function spanOfPayments({ paymentId, since }: VerifyOptions): Span {
  if (paymentId !== undefined) return { after: placeOfUuid(paymentId) - 1n, to: placeOfUuid(paymentId) }
  // A UUIDv7 begins with the milliseconds since 1970, in 48 bits.
  return since ? { ...ALL_UUIDS, after: (BigInt(since.getTime()) << 80n) - 1n } : ALL_UUIDS
}
