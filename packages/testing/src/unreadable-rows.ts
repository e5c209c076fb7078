import { randomBytes } from 'node:crypto'
import { query } from '@cashflow/dev-stack'

export type UnreadableRows = Awaited<ReturnType<typeof createUnreadableRows>>

/**
 * Creates a role that gets an error when it reads certain rows of a table, as from a damaged page. The condition is SQL
 * over the table's columns, and `code` is an SQLSTATE.
 */
export async function createUnreadableRows(
  url: string,
  { table, condition, code = 'XX001' }: { table: string; condition: string; code?: string },
) {
  const role = `reader_${randomBytes(6).toString('hex')}`
  const administer = async (statements: string): Promise<void> => void (await query(url, statements))
  await administer(`
    create role ${role} login password 'reader';
    grant all on all tables in schema public to ${role};
    create function ${role}_damaged() returns boolean language plpgsql as $$ begin
      raise exception 'invalid page in block 0' using errcode = '${code}';
    end $$;
    create policy ${role} on ${table} using (case when ${condition} then ${role}_damaged() else true end)
      with check (true);
    alter table ${table} enable row level security`)
  const readerUrl = new URL(url)
  readerUrl.username = role
  readerUrl.password = 'reader'
  return {
    /** The same database's URL, as a role that gets the error. */
    url: readerUrl.href,
    /** Makes all rows readable again. */
    heal: () => administer(`alter policy ${role} on ${table} using (true)`),
    /** Removes the role. Its sessions must be closed before. */
    drop: () =>
      administer(
        `drop policy ${role} on ${table}; drop function ${role}_damaged; drop owned by ${role}; drop role ${role}`,
      ),
  }
}
