import { sql } from 'kysely'
import type { Run } from './run-migration.ts'

/** The migration that creates the table of merchants. */
export const CREATES_MERCHANTS = '0001_payments'
/** The migration whose unique index makes it fail if two merchants have one name. */
export const MAKES_NAMES_UNIQUE = '0011_api_keys'

/** Merchants have the same name. Nothing was changed. */
export class MerchantNamesError extends Error {
  readonly code = 'merchant_names'

  constructor() {
    super(
      'Merchants have the same name. The lines before this one list their ids. Nothing was changed. ' +
        'Give each of them a name of its own in the table "merchants", then run "npm run migrate" again.',
    )
  }
}

/** @throws MerchantNamesError if two merchants have one name, after the log has listed them by their ids */
export async function ensureMerchantNames({ session, logger }: Run): Promise<void> {
  const rows = await session
    .selectFrom('merchants')
    // As `sql`: the builder has COLLATE only in an ORDER BY, and reads worse for `array_agg`.
    .select(sql<string[]>`array_agg(id::text order by created_at, id)`.as('ids'))
    .groupBy(sql`name collate "C"`)
    .having((eb) => eb(eb.fn.countAll(), '>', eb.lit(1)))
    .execute()
  for (const { ids } of rows) logger.error('merchants found that have the same name', { ids })
  if (rows.length > 0) throw new MerchantNamesError()
}
