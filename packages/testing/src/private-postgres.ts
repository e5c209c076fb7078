import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defined } from '@cashflow/async'
import { query, startPostgres } from '@cashflow/dev-stack'
import { withDatabase } from './addresses.ts'
import { createMigrated } from './test-database.ts'

export type PrivatePostgres = Awaited<ReturnType<typeof startPrivatePostgres>>

const PAGE_BYTES = 8_192
const HEADER = Buffer.alloc(24, 0xff)

/**
 * Starts a PostgreSQL for one test, which may crash it or give it other settings. Its commits reach the disk.
 *
 * @param settings the server's settings, by name
 */
export async function startPrivatePostgres(settings: Record<string, string> = {}) {
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

  /** Stops the server, overwrites the headers in its file, starts it again, and returns the previous headers. */
  async function overwrite(file: string, headers: ReadonlyMap<number, Buffer>): Promise<Map<number, Buffer>> {
    // A fast shutdown writes all pages to the file, so that no recovery replaces the headers.
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
    /** The URL of a migrated database. It stays the same across restarts. */
    url: databaseUrl,
    /** Ends every process of the server at once, without flushing: SIGQUIT is `pg_ctl stop -m immediate`. */
    crash: () => end('SIGQUIT'),
    /** Starts the server again. It recovers from its WAL. */
    start,
    /**
     * Stops the server, overwrites the headers of these pages of a table or index, and starts the server again. A
     * statement that reads one of the pages fails with XX001.
     *
     * @returns a function that restores the pages, with another restart
     */
    async damage(relation: string, pages: readonly number[]) {
      const file = await fileOf(databaseUrl, relation)
      const before = await overwrite(file, new Map(pages.map((page) => [page, HEADER])))
      return async (): Promise<void> => void (await overwrite(file, before))
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
  return defined(row, `file of ${relation}`).file
}
