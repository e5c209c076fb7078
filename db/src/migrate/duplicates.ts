import type { Logger } from '@cashflow/runtime'
import { type Kysely, sql, type Transaction } from 'kysely'

/** The migration that makes the database refuse duplicates by their bytes, and the one that made their tables. */
export const REFUSES_DUPLICATES = '0008_text_by_bytes'
export const MADE_TABLES = '0002_outbox'

const LISTED_MAX = 1_000

/** Rows that a changed collation let in although they are the same. `first` keeps its place, `later` are too many. */
export interface Duplicates {
  readonly table: 'payments' | 'dead_letters'
  readonly first: string
  readonly later: readonly string[]
}

/** Rows are stored twice that must be unique. */
export class DuplicatesError extends Error {
  readonly code = 'duplicates'

  constructor(payments: number, letters: number) {
    super(
      `Rows are stored twice: ${payments} payments by merchant and reference, ${letters} unresolved dead letters by ` +
        'source, topic and key. The lines before this one list their ids. No row was changed. ' +
        'Run "npm run migrate -- --set-aside-duplicates" to give each later payment the reference <reference>#<id>, and ' +
        'to resolve each later dead letter. Status and money stay as they are.',
    )
  }
}

/** @returns every group of duplicates, compared by bytes, the oldest first in each */
export async function findDuplicates<Any>(db: Kysely<Any>): Promise<Duplicates[]> {
  return db.transaction().execute(async (tx) => {
    // A session of a service never reads a whole table. This one has to.
    await sql`
      select set_config('statement_timeout', '0', true), set_config('enable_seqscan', 'on', true),
        set_config('enable_hashjoin', 'on', true), set_config('work_mem', '64MB', true)`.execute(tx)
    return [...(await paymentsTwice(tx)), ...(await lettersTwice(tx))]
  })
}

async function paymentsTwice<Any>(tx: Transaction<Any>): Promise<Duplicates[]> {
  // Without ids at first: collected for each of some million references, they take four times as long.
  const { rows: twice } = await sql<{ merchant_id: string; reference: string }>`
    select merchant_id, reference collate "C" as reference from payments group by 1, 2 having count(*) > 1`.execute(tx)
  if (twice.length === 0) return []
  const { rows } = await sql<{ ids: string[] }>`
    select array_agg(p.id::text order by p.created_at, p.id) as ids
    from json_to_recordset(${JSON.stringify(twice)}::json) as twice (merchant_id uuid, reference text)
    join payments p on p.merchant_id = twice.merchant_id and p.reference = twice.reference collate "C"
    group by p.merchant_id, p.reference collate "C"`.execute(tx)
  return rows.map(({ ids }) => toDuplicates('payments', ids))
}

async function lettersTwice<Any>(tx: Transaction<Any>): Promise<Duplicates[]> {
  const { rows } = await sql<{ ids: string[] }>`
    select array_agg(id::text order by id) as ids from dead_letters where resolved_at is null
    group by source collate "C", topic collate "C", key collate "C" having count(*) > 1`.execute(tx)
  return rows.map(({ ids }) => toDuplicates('dead_letters', ids))
}

function toDuplicates(table: Duplicates['table'], [first = '', ...later]: string[]): Duplicates {
  return { table, first, later }
}

/**
 * Logs each group by its ids.
 *
 * @returns the error that says how many there are
 */
export function listDuplicates(found: readonly Duplicates[], logger: Logger): DuplicatesError {
  for (const { table, first, later } of found.slice(0, LISTED_MAX))
    logger.error('duplicates', { table, first_id: first, later_ids: later })
  if (found.length > LISTED_MAX) logger.error('more duplicates are not listed', { groups: found.length - LISTED_MAX })
  const count = (table: Duplicates['table']) =>
    found.filter((group) => group.table === table).reduce((sum, { later }) => sum + later.length, 0)
  return new DuplicatesError(count('payments'), count('dead_letters'))
}

/**
 * Makes every later one of a group unique. Each is a transaction of its own, and is no duplicate after it: a run that was
 * killed goes on with the others.
 */
export async function setAside<Any>(db: Kysely<Any>, found: readonly Duplicates[], logger: Logger): Promise<void> {
  for (const { table, first, later } of found) {
    for (const id of later) {
      if (table === 'payments') await renameReference(db, id, first)
      else await resolveLetter(db, id, first)
      logger.warn('duplicate set aside', { table, id, first_id: first })
    }
  }
}

/**
 * The event takes no sequence that the end of a PENDING payment will need: that is 2. It says what the reference was,
 * since a long one is shortened to keep its 255 characters.
 */
async function renameReference<Any>(db: Kysely<Any>, id: string, first: string): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const locked = await sql<{ reference: string }>`select reference from payments where id = ${id} for update`.execute(
      tx,
    )
    const before = locked.rows[0]?.reference
    if (before === undefined) return
    await sql`
      update payments set reference = left(reference, 254 - char_length(id::text)) || '#' || id where id = ${id}`.execute(
      tx,
    )
    await sql`
      insert into payment_events (payment_id, merchant_id, sequence, type, data, actor)
      select id, merchant_id, (select greatest(max(sequence), 2) + 1 from payment_events e where e.payment_id = p.id),
        'payment.reference_changed', jsonb_build_object(
          'reference', reference, 'reference_before', ${before}::text, 'duplicate_of', ${first}::text), 'migrate'
      from payments p where id = ${id}`.execute(tx)
  })
}

/**
 * An earlier dead letter of the same source, topic and key says all that a later one does, except of a message: that one
 * waits in the outbox until the earlier one is resolved, as it does when it dies second.
 */
async function resolveLetter<Any>(db: Kysely<Any>, id: string, first: string): Promise<void> {
  await sql`
    with resolved as (
      update dead_letters set resolved_at = now(), resolution = 'duplicate of ' || ${first}::text
      where id = ${id} and resolved_at is null
      returning *
    )
    insert into outbox_scheduled (lane, message_id, key, topic, payload, headers, mandatory, attempts, created_at, due_at)
    select lane, message_id, key, topic, payload, headers, mandatory, attempts, created_at, now()
    from resolved where source = 'outbox'`.execute(db)
}
