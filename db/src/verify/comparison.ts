import type { Kysely } from 'kysely'
import { uuidAt } from '../postgres/pages.ts'
import type { Tables } from '../tables.ts'
import type { CheckedHistory, Head } from './check-history.ts'
import type { Finding } from './finding.ts'
import { findPruned } from './pruned.ts'

const MISSING_MAX = 1_000

/**
 * Compares payments with the heads that an earlier export has of them. Both come in the order of their ids, so only one
 * page of payments is in memory.
 */
export function createComparison(
  db: Kysely<Tables>,
  heads: AsyncIterator<Head>,
  report: (finding: Finding) => Promise<void>,
) {
  const counts = { compared: 0, notInExport: 0 }
  let next: Promise<IteratorResult<Head>> | undefined
  let missing: string[] = []

  async function reportMissing(): Promise<void> {
    const pruned = await findPruned(db, missing)
    for (const paymentId of missing)
      if (!pruned.has(paymentId)) await report({ paymentId, what: 'payment', expected: 'a row', found: null })
    missing = []
  }

  /** The next head up to an id, in the order of ids. */
  async function nextUpTo(id: string): Promise<Head | undefined> {
    next ??= heads.next()
    const { done, value } = await next
    if (done || value.id > id) return undefined
    next = undefined
    return value
  }

  /** @param upto the place up to which `checked` has all payments */
  async function compare(checked: readonly CheckedHistory[], upto: bigint): Promise<void> {
    const last = uuidAt(upto)
    const byId = new Map(checked.map((history) => [history.id, history]))
    counts.notInExport += checked.length
    for (let head = await nextUpTo(last); head; head = await nextUpTo(last)) {
      const history = byId.get(head.id)
      if (history) {
        counts.compared += 1
        counts.notInExport -= 1
        for (const finding of differences(head, history)) await report(finding)
      } else missing.push(head.id)
      if (missing.length === MISSING_MAX) await reportMissing()
    }
    await reportMissing()
  }

  return {
    counts,
    compare,
    /** Goes past a payment that cannot be read. */
    async skip(at: bigint): Promise<void> {
      await compare([], at - 1n)
      await nextUpTo(uuidAt(at))
    },
  }
}

function differences({ id, sequence, hash, isSealed, details }: Head, { chain, head }: CheckedHistory): Finding[] {
  const found: Finding[] = []
  const link = chain.find(({ event }) => event.sequence === sequence)
  const differ = (what: string, expected: string | null, now: string | null) =>
    found.push({ paymentId: id, what: `${what}, as exported`, expected, found: now })
  if (!link?.hash.equals(hash))
    differ(`history up to event ${sequence}`, hash.toString('hex'), link?.hash.toString('hex') ?? null)
  else if (isSealed && link.event.hash === null) differ(`hash of event ${sequence}`, hash.toString('hex'), null)
  if (head && head.details !== details) differ('digest of metadata and idempotency key', details, head.details)
  return found
}
