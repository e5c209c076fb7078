import { defined } from '@cashflow/async'
import type { Logger } from '@cashflow/runtime'
import { type Kysely, sql, type Transaction } from 'kysely'
import { recordSet } from '../statement.ts'
import type { MigrationTables } from './ledger.ts'
import { type Run, setConfig } from './run-migration.ts'

/** The migration that creates the tables in which duplicates can be. */
export const CREATES_TABLES = '0002_outbox'
/** The migration whose unique indexes compare text by its bytes, so that duplicates make it fail. */
export const ADDS_UNIQUE_INDEXES = '0008_text_by_bytes'

const LISTED_MAX = 1_000
const MESSAGE = [
  'lane',
  'message_id',
  'key',
  'topic',
  'payload',
  'headers',
  'mandatory',
  'attempts',
  'created_at',
] as const

/** Ids of rows that must be unique and are not. A changed collation let them in. The oldest row keeps its text. */
interface Duplicates {
  readonly table: 'payments' | 'dead_letters'
  readonly first: string
  readonly later: readonly string[]
}

/** Rows that must be unique are stored twice. */
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

/**
 * Makes duplicate rows unique.
 *
 * @returns whether there were any
 * @throws DuplicatesError if there are any and `setAside` is false. No row is changed; the log lists each group by its ids
 */
export async function clearDuplicates({ session, logger }: Run, setAside: boolean): Promise<boolean> {
  const found = await findDuplicates(session)
  if (found.length === 0) return false
  if (!setAside) throw listDuplicates(found, logger)
  // One transaction for each row, after which it is no duplicate: the run after a kill continues with the others.
  for (const { table, first, later } of found) {
    for (const id of later) {
      if (table === 'payments') {
        await renameReference(session, id, first)
        logger.warn('duplicate payment got another reference', { id, first_id: first })
      } else {
        await resolveLetter(session, id, first)
        logger.warn('duplicate dead letter resolved', { id, first_id: first })
      }
    }
  }
  return true
}

async function findDuplicates(session: Kysely<MigrationTables>): Promise<Duplicates[]> {
  return session.transaction().execute(async (tx) => {
    // The settings of our sessions avoid reading whole tables. This search has to.
    const limits = { statement_timeout: '0', work_mem: '64MB' }
    await setConfig(tx, { ...limits, enable_seqscan: 'on', enable_hashjoin: 'on' }, 'transaction')
    return [...(await duplicatePayments(tx)), ...(await duplicateLetters(tx))]
  })
}

const TWICE = recordSet('twice', { merchant_id: 'uuid', reference: 'text' })

// `sql` below: the builder has COLLATE only for an ORDER BY, and reads worse for `array_agg` and sums of functions.
async function duplicatePayments(tx: Transaction<MigrationTables>): Promise<Duplicates[]> {
  const reference = sql<string>`p.reference collate "C"`
  // Two queries: collecting the ids of some million references in the first one takes four times as long.
  const twice = await tx
    .selectFrom('payments as p')
    .select(['p.merchant_id', reference.as('reference')])
    .groupBy(['p.merchant_id', reference])
    .having((eb) => eb(eb.fn.countAll(), '>', eb.lit(1)))
    .execute()
  if (twice.length === 0) return []
  const rows = await tx
    .selectFrom(TWICE.from(sql.val(TWICE.json(twice))))
    .innerJoin('payments as p', (on) =>
      on.onRef('p.merchant_id', '=', 'twice.merchant_id').on('p.reference', '=', sql`twice.reference collate "C"`),
    )
    .select(sql<string[]>`array_agg(p.id::text order by p.created_at, p.id)`.as('ids'))
    .groupBy(['p.merchant_id', reference])
    .execute()
  return rows.map(({ ids }) => toDuplicates('payments', ids))
}

async function duplicateLetters(tx: Transaction<MigrationTables>): Promise<Duplicates[]> {
  const rows = await tx
    .selectFrom('dead_letters')
    .select(sql<string[]>`array_agg(id::text order by id)`.as('ids'))
    .where('resolved_at', 'is', null)
    .groupBy(sql`source collate "C", topic collate "C", key collate "C"`)
    .having((eb) => eb(eb.fn.countAll(), '>', eb.lit(1)))
    .execute()
  return rows.map(({ ids }) => toDuplicates('dead_letters', ids))
}

function toDuplicates(table: Duplicates['table'], [first, ...later]: string[]): Duplicates {
  return { table, first: defined(first, `${table} in a group of duplicates`), later }
}

function listDuplicates(found: readonly Duplicates[], logger: Logger): DuplicatesError {
  for (const { table, first, later } of found.slice(0, LISTED_MAX))
    logger.error('rows found that are stored twice', { table, first_id: first, later_ids: later })
  if (found.length > LISTED_MAX)
    logger.error('more rows are stored twice and not listed', { groups: found.length - LISTED_MAX })
  const count = (table: Duplicates['table']) =>
    found.filter((group) => group.table === table).reduce((sum, { later }) => sum + later.length, 0)
  return new DuplicatesError(count('payments'), count('dead_letters'))
}

/**
 * Changes the reference of a payment to `<reference>#<id>`, shortened to 255 characters. The event keeps the former
 * reference whole.
 */
async function renameReference(session: Kysely<MigrationTables>, id: string, first: string): Promise<void> {
  await session.transaction().execute(async (tx) => {
    const before = await tx
      .selectFrom('payments')
      .select(['merchant_id', 'reference'])
      .where('id', '=', id)
      .forUpdate()
      .executeTakeFirst()
    if (!before) return
    const after = await tx
      .updateTable('payments')
      .set({ reference: sql<string>`left(reference, 254 - char_length(id::text)) || '#' || id` })
      .where('id', '=', id)
      .returning('reference')
      .executeTakeFirstOrThrow()
    const data = { reference: after.reference, reference_before: before.reference, duplicate_of: first }
    await tx
      .insertInto('payment_events')
      .values((eb) => ({
        payment_id: id,
        merchant_id: before.merchant_id,
        // At least 3: sequence 2 is the event that settles a PENDING payment.
        sequence: eb
          .selectFrom('payment_events')
          .select(sql<number>`greatest(max(sequence), 2) + 1`.as('next'))
          .where('payment_id', '=', id),
        type: 'payment.reference_changed',
        data: JSON.stringify(data),
        actor: 'migrate',
      }))
      .execute()
  })
}

/**
 * Resolves a dead letter that has the source, topic and key of an earlier one. The earlier letter stands for both. Only a
 * message of the outbox would be lost: it is scheduled, and waits there until the earlier letter is resolved.
 */
async function resolveLetter(session: Kysely<MigrationTables>, id: string, first: string): Promise<void> {
  await session
    .with('resolved', (qb) =>
      qb
        .updateTable('dead_letters')
        .set((eb) => ({ resolved_at: eb.fn<Date>('now'), resolution: `duplicate of ${first}` }))
        .where('id', '=', id)
        .where('resolved_at', 'is', null)
        .returning(['source', ...MESSAGE]),
    )
    .insertInto('outbox_scheduled')
    .columns([...MESSAGE, 'due_at'])
    .expression((eb) =>
      eb
        .selectFrom('resolved')
        .select((row) => [...MESSAGE, row.fn<Date>('now').as('due_at')])
        .where('source', '=', 'outbox'),
    )
    .execute()
}
