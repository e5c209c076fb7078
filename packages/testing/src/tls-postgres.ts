import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { TLSSocket } from 'node:tls'
import { eventually } from '@cashflow/async'
import { openClient, query } from '@cashflow/dev-stack'
import type { IssuedFiles } from './certificates.ts'
import { startPrivatePostgres } from './private-postgres.ts'

export type TlsPostgres = Awaited<ReturnType<typeof startTlsPostgres>>

interface ServedFiles extends IssuedFiles {
  /** Path of the authority whose client certificates the server accepts. */
  readonly ca?: string
}

/** Starts a private PostgreSQL that offers TLS, also with other certificates later. */
export async function startTlsPostgres(files: ServedFiles) {
  const server = await startPrivatePostgres()
  const write = (name: string, text: string | Buffer) => writeServerFile(server.url, name, text)
  const reload = () => query(server.url, 'select pg_reload_conf()')

  /** Resolves when new connections get the certificate. */
  async function serve({ cert, key, ca }: ServedFiles): Promise<void> {
    const pem = await readFile(cert)
    await write('server.crt', pem)
    await write('server.key', await readFile(key))
    if (ca !== undefined) {
      await write('root.crt', await readFile(ca))
      await query(server.url, "alter system set ssl_ca_file = 'root.crt'")
    }
    await query(server.url, 'alter system set ssl = on')
    await reload()
    const wanted = new X509Certificate(pem).fingerprint256
    await eventually(async () => {
      const presented = await presentedCertificate(server.url)
      if (presented !== wanted) throw new Error('PostgreSQL does not serve the certificate yet')
    })
  }

  try {
    await serve(files)
  } catch (error) {
    await server.stop()
    throw error
  }
  return {
    url: server.url,
    serve,
    /** Puts rules before those of pg_hba.conf. They hold for new connections soon. */
    async addRules(rules: string): Promise<void> {
      const [row] = await query<{ rules: string }>(server.url, "select pg_read_file('pg_hba.conf') as rules")
      await write('pg_hba.conf', `${rules}\n${row?.rules}`)
      await reload()
    },
    stop: server.stop,
  }
}

/** Writes a file to a server's data directory. The server does it, because the file has to belong to its user. */
export async function writeServerFile(url: string, name: string, text: string | Buffer): Promise<void> {
  const encoded = Buffer.from(text).toString('base64')
  await query(url, `copy (select '${encoded}') to program 'umask 077; base64 -d > ${name}'`)
}

async function presentedCertificate(url: string): Promise<string | undefined> {
  const client = await openClient(url, { ssl: { rejectUnauthorized: false } })
  try {
    const { stream } = (client as unknown as { connection: { stream: TLSSocket } }).connection
    return stream.getPeerX509Certificate()?.fingerprint256
  } finally {
    await client.end()
  }
}
