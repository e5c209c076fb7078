import type { Kysely } from 'kysely'
import type { Tables } from './tables.ts'

/** Reads the 32 bytes that sign the cursors of all processes. They never change. */
export async function readCursorSecret(db: Kysely<Tables>): Promise<Buffer> {
  const { cursor_secret } = await db.selectFrom('deployment').select('cursor_secret').executeTakeFirstOrThrow()
  return cursor_secret
}
