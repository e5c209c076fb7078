import { type Kysely, sql } from 'kysely'
import { type Operator, recordAction } from '../operator/actions.ts'
import { placeOfUuid } from '../postgres/pages.ts'
import { recordSet } from '../statement.ts'
import type { Tables } from '../tables.ts'
import { type CheckedHistory, checkHistory } from './check-history.ts'
import { readHistories } from './histories.ts'

/** Payments that one transaction seals. While it runs, workers cannot claim or settle them. */
export const SEALED_MAX = 500

const LINKS = recordSet('link', { id: 'uuid', sequence: 'int', hash: 'text', is_last: 'int' })

/**
 * Stores the hashes that events of earlier versions lack, and those of payments. It locks the payments, reads them again,
 * and seals only those without a finding. It skips a payment that another session has locked, and one that a claim holds:
 * its worker knows the hash that the payment had when it was claimed.
 *
 * @param ids at most `SEALED_MAX`, in their order
 * @returns the ids of the payments that are sealed now
 */
export function sealPayments(db: Kysely<Tables>, ids: readonly string[], by: Operator): Promise<ReadonlySet<string>> {
  const [first, last] = [ids.at(0), ids.at(-1)]
  if (first === undefined || last === undefined) return Promise.resolve(new Set())
  return db.transaction().execute(async (tx) => {
    const locked = await tx
      .selectFrom('payments')
      .select('id')
      // One parameter for any number of ids. As `sql`: the builder has no arrays of a type.
      .where('id', '=', sql<string>`any(${ids}::uuid[])`)
      .where((eb) => eb.or([eb('status', '<>', 'PENDING'), eb('claim_token', 'is', null)]))
      .orderBy('id')
      .forUpdate()
      .skipLocked()
      .execute()
    const isLocked = new Set(locked.map(({ id }) => id))
    if (isLocked.size === 0) return isLocked
    // A statement after the locks: its snapshot has everything that the sessions before have written.
    const page = await readHistories(tx, placeOfUuid(first) - 1n, placeOfUuid(last), SEALED_MAX)
    const sealed = page.histories
      .filter(({ id }) => isLocked.has(id))
      .map((history) => checkHistory(history))
      .filter(isSealable)
    const [from, to] = [sealed.at(0)?.id, sealed.at(-1)?.id]
    if (from !== undefined) {
      await storeHashes(tx, sealed)
      await recordAction(tx, by, {
        action: 'verify --seal',
        target: from,
        after: { payments: sealed.length, from, to },
      })
    }
    return new Set(sealed.map(({ id }) => id))
  })
}

function isSealable({ findings, chain }: CheckedHistory): boolean {
  return findings.length === 0 && chain.length > 0
}

// As `sql`: the builder's types allow no change of an event.
async function storeHashes(tx: Kysely<Tables>, checked: readonly CheckedHistory[]): Promise<void> {
  const links = checked.flatMap(({ id, chain }) =>
    chain.map(({ event, hash }, index) => ({
      ...{ id, sequence: event.sequence, hash: hash.toString('hex') },
      is_last: Number(index === chain.length - 1),
    })),
  )
  await sql`
    with link as materialized (select * from ${LINKS.from(sql.val(LINKS.json(links)))}), events as (
      update payment_events e set hash = decode(link.hash, 'hex') from link
      where e.payment_id = link.id and e.sequence = link.sequence and e.hash is null
    )
    update payments p set last_hash = decode(link.hash, 'hex') from link
    where p.id = link.id and link.is_last = 1`.execute(tx)
}
