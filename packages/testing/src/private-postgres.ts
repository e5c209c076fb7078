import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '@cashflow/dev-stack'
import { withDatabase } from './addresses.ts'
import { createMigrated } from './migrated.ts'

export interface PrivatePostgres {
  /** A migrated database. The address stays, whatever happens to the server. */
  readonly url: string
  /** Ends every process of the server at once, flushing nothing: SIGQUIT is `pg_ctl stop -m immediate`. */
  crash(): Promise<void>
  /** Starts the server again, which recovers from its log. */
  start(): Promise<void>
  stop(): Promise<void>
}

/** A PostgreSQL of the test's own, to be crashed or set up otherwise. Its commits reach the disk. */
export async function startPrivatePostgres(): Promise<PrivatePostgres> {
  const dir = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
  let server = await startPostgres({ dir })
  const { port, url } = server
  await createMigrated(url, 'payments')
  return {
    url: withDatabase(url, 'payments'),
    async crash() {
      process.kill(server.pid, 'SIGQUIT')
      await server.exited
    },
    async start() {
      server = await startPostgres({ dir, port })
    },
    async stop() {
      await server.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
