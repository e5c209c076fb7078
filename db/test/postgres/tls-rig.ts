import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Logger } from '@cashflow/runtime'
import { createAuthority, eventually, type IssuedFiles, nullLogger, query, startTlsPostgres } from '@cashflow/testing'
import { sql } from 'kysely'
import { createDatabase } from '../../src/index.ts'

export type TlsRig = Awaited<ReturnType<typeof startTlsRig>>

export type UrlParameters = Readonly<Record<string, string>>

/** What PostgreSQL knows of a session: whether it is encrypted, and the owner of its client certificate. */
interface SeenSession {
  readonly ssl: boolean
  readonly owner: string | null
}

/**
 * Starts a PostgreSQL with TLS. Its role `cashflow` logs in with a client certificate. It has a certificate of `authority`,
 * and `other` is an authority that it knows nothing of.
 */
export async function startTlsRig() {
  const folder = mkdtempSync(join(tmpdir(), 'cashflow-test-'))
  const authority = await createAuthority(join(folder, 'authority'))
  const other = await createAuthority(join(folder, 'other'))
  const own = await authority.issue('server')
  const server = await startTlsPostgres({ ...own, ca: authority.ca })
  await query(server.url, 'create role cashflow login superuser')
  await server.addRules('hostssl all cashflow all cert')

  /** @param change to the URL of the server, such as another host */
  function urlWith(parameters: UrlParameters, change: (url: URL) => void = () => {}): string {
    const url = new URL(server.url)
    change(url)
    return `${url.href}?${new URLSearchParams(parameters)}`
  }
  const open = (url: string, logger: Logger = nullLogger) =>
    createDatabase({ url, applicationName: 'test', poolMax: 3, logger })

  async function session(url: string): Promise<SeenSession> {
    const db = open(url)
    try {
      const look = sql<SeenSession>`select ssl, client_dn as owner from pg_stat_ssl where pid = pg_backend_pid()`
      return (await look.execute(db)).rows[0] ?? { ssl: false, owner: null }
    } finally {
      await db.destroy()
    }
  }

  return {
    folder,
    url: server.url,
    authority,
    other,
    urlWith,
    asCashflow: (parameters: UrlParameters) =>
      urlWith(parameters, (url) => {
        url.username = 'cashflow'
        url.password = ''
      }),
    open,
    session,
    isEncrypted: async (parameters: UrlParameters) => (await session(urlWith(parameters))).ssl,
    /** @returns the error of a session that cannot be opened */
    refusal: (url: string): Promise<Error> =>
      session(url).then(
        () => new Error('the session was opened'),
        (error: Error) => error,
      ),
    /** Runs with another certificate of the server. */
    async serving(files: IssuedFiles, run: () => Promise<void>): Promise<void> {
      await server.serve(files)
      try {
        await run()
      } finally {
        await server.serve(own)
      }
    },
    /** Resolves when no session has this name. */
    untilEnded: (name: string) =>
      eventually(async () => {
        const [row] = await query(server.url, 'select pid from pg_stat_activity where application_name = $1', {
          values: [name],
        })
        if (row) throw new Error(`the session ${name} has not ended`)
      }),
    async stop() {
      await server.stop()
      rmSync(folder, { recursive: true })
    },
  }
}
