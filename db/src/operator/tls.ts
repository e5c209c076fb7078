import type { X509Certificate } from 'node:crypto'
import { TLSSocket } from 'node:tls'
import { type DatabaseTls, splitTls } from '@cashflow/runtime'
import { type Kysely, sql } from 'kysely'
import { parseIntoClientConfig } from 'pg-connection-string'
import { createHosts } from '../postgres/hosts.ts'
import { createTls, openServerSocket } from '../postgres/tls.ts'
import type { Tables } from '../tables.ts'

export interface HostTls {
  /** Address and port, or the folder of a Unix socket. */
  readonly host: string
  /** The certificate that the host presents, also if it is not trusted. */
  readonly certificate: X509Certificate | undefined
  /** Why the certificate is not trusted: a code of OpenSSL or Node. */
  readonly fault: string | undefined
}

const LOOK_MS = 5_000
const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

/** What a database URL says about TLS. Undefined means nothing. */
export function tlsOf(url: string): DatabaseTls | undefined {
  return splitTls(url).tls
}

/** True if no connection of the URL leaves this machine. */
export function isLocal(url: string): boolean {
  return createHosts(url, SILENT).all.every(({ name }) => /^(\/|localhost:|127\.|\[::1\])/.test(name))
}

/**
 * Looks at the certificate of each host that the URL connects to with TLS. It is looked at, and not refused, if it has
 * expired or is not trusted.
 *
 * @returns a function for each host, which throws an Error if the host cannot be reached
 */
export function tlsLooks(url: string): { host: string; look: () => Promise<HostTls> }[] {
  const hosts = createHosts(url, SILENT)
  const tlsOfHost = createTls(hosts.tls, SILENT)
  return hosts.all.flatMap((own) => {
    const { tls } = tlsOfHost(own)
    if (!tls) return []
    const look = async (): Promise<HostTls> => {
      const { host, port } = parseIntoClientConfig(own.url)
      const options = { ...tls.options(), rejectUnauthorized: false }
      const address = { host: host || 'localhost', port: Number(port ?? 5432) }
      // The socket keeps no process alive, and a command may have nothing else that does.
      const alive = setTimeout(() => {}, 2 * LOOK_MS)
      try {
        const socket = await openServerSocket(address, { options, isDirect: tls.isDirect, limitMs: LOOK_MS })
        if (!(socket instanceof TLSSocket)) throw new Error('the connection is not encrypted')
        const fault = socket.authorized ? undefined : String(socket.authorizationError)
        const certificate = socket.getPeerX509Certificate()
        socket.destroy()
        return { host: own.name, certificate, fault }
      } finally {
        clearTimeout(alive)
      }
    }
    return [{ host: own.name, look }]
  })
}

/** The encryption of a session as PostgreSQL sees it. Behind a pooler, it is that of the pooler's session. */
export async function readSessionTls(db: Kysely<Tables>): Promise<{ version: string; cipher: string } | undefined> {
  const found = await sql<{ ssl: boolean; version: string; cipher: string }>`
    select ssl, version, cipher from pg_stat_ssl where pid = pg_backend_pid()`.execute(db)
  const [row] = found.rows
  return row?.ssl ? { version: row.version, cipher: row.cipher } : undefined
}
