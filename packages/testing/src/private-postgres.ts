import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { query, startPostgres } from '@cashflow/dev-stack'
import { withDatabase } from './addresses.ts'
import { createMigrated } from './test-database.ts'

export interface PrivatePostgres {
  /** A migrated database. The address stays, whatever happens to the server. */
  readonly url: string
  /** Ends every process of the server at once, flushing nothing: SIGQUIT is `pg_ctl stop -m immediate`. */
  crash(): Promise<void>
  /** Starts the server again, which recovers from its log. */
  start(): Promise<void>
  /**
   * Stops the server, overwrites the headers of these pages of a table or index of the database, and starts it again:
   * whatever reads one of them fails with XX001.
   *
   * @returns puts the pages back as they were, with another restart
   */
  damage(relation: string, pages: readonly number[]): Promise<() => Promise<void>>
  stop(): Promise<void>
}

const PAGE_BYTES = 8_192
const HEADER = Buffer.alloc(24, 0xff)

/**
 * A PostgreSQL of the test's own, to be crashed or set up otherwise. Its commits reach the disk.
 *
 * @param settings of the server, by name
 */
export async function startPrivatePostgres(settings: Record<string, string> = {}): Promise<PrivatePostgres> {
  const dir = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
  let server = await startPostgres({ dir, settings })
  const { port, url } = server
  const databaseUrl = withDatabase(url, 'payments')
  const start = async () => {
    server = await startPostgres({ dir, port, settings })
  }
  const end = async (signal: NodeJS.Signals) => {
    process.kill(server.pid, signal)
    await server.exited
  }
  await createMigrated(url, 'payments')

  /** Writes to pages of a stopped server's file, and answers with what was there. */
  async function overwrite(file: string, headers: ReadonlyMap<number, Buffer>): Promise<Map<number, Buffer>> {
    // All that its processes have in memory is in the file then, and no log puts it there again.
    await end('SIGINT')
    const before = new Map<number, Buffer>()
    await using handle = await open(file, 'r+')
    for (const [page, header] of headers) {
      const was = Buffer.alloc(header.length)
      await handle.read(was, 0, was.length, page * PAGE_BYTES)
      await handle.write(header, 0, header.length, page * PAGE_BYTES)
      before.set(page, was)
    }
    await start()
    return before
  }

  return {
    url: databaseUrl,
    crash: () => end('SIGQUIT'),
    start,
    async damage(relation, pages) {
      const file = await fileOf(databaseUrl, relation)
      const before = await overwrite(file, new Map(pages.map((page) => [page, HEADER])))
      return async () => void (await overwrite(file, before))
    },
    async stop() {
      await server.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function fileOf(url: string, relation: string): Promise<string> {
  const text = "select current_setting('data_directory') || '/' || pg_relation_filepath($1::regclass) as file"
  const [row] = await query<{ file: string }>(url, text, { values: [relation] })
  return row?.file ?? ''
}
