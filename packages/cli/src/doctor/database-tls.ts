import type { Database } from '@cashflow/db'
import { isLocal, readSessionTls, tlsLooks, tlsOf } from '@cashflow/db/operator'
import type { DatabaseTls } from '@cashflow/runtime'
import { certificateFileLine, certificateLine } from './certificates.ts'
import { type Line, lineOf, ok, warning, wrong } from './line.ts'

const ENCRYPTION = 'TLS to PostgreSQL'
const HOW = 'Set DB_SSLMODE=verify-full and DB_SSLROOTCERT, see "TLS from zero" in docs/operations.md.'

/**
 * Says what is encrypted and verified, and when certificates end.
 *
 * @param db undefined if PostgreSQL cannot be reached
 */
export async function databaseTlsLines(url: string, db: Database | undefined): Promise<Line[]> {
  const tls = tlsOf(url)
  const looks = tlsLooks(url)
  const lines: Line[] = []
  if (db) lines.push(await lineOf(ENCRYPTION, () => encryptionLine(db, url, looks.length > 0 ? tls : undefined)))
  const isVerified = tls !== undefined && tls.mode !== 'require'
  for (const { host, look } of looks) {
    const check = `certificate of PostgreSQL at ${host}`
    lines.push(
      await lineOf(check, async () => {
        const { certificate, fault } = await look()
        return certificate
          ? certificateLine(check, certificate, isVerified ? fault : undefined)
          : wrong(check, 'it presents none')
      }),
    )
  }
  if (looks.length === 0) return lines
  lines.push(...(await certificateFileLine('authority of PostgreSQL, DB_SSLROOTCERT', tls?.paths.ca)))
  lines.push(...(await certificateFileLine('own certificate, DB_SSLCERT', tls?.paths.cert)))
  return lines
}

async function encryptionLine(db: Database, url: string, tls: DatabaseTls | undefined): Promise<Line> {
  const session = await readSessionTls(db)
  if (!tls || tls.mode === 'disable') {
    if (session) return warning(ENCRYPTION, `a pooler encrypts its own sessions with PostgreSQL, not yours. ${HOW}`)
    return isLocal(url)
      ? ok(ENCRYPTION, 'not encrypted, on this machine')
      : warning(ENCRYPTION, `not encrypted. ${HOW}`)
  }
  if (!session)
    return warning(ENCRYPTION, 'encrypted up to a pooler, which does not encrypt its sessions with PostgreSQL')
  const found = `encrypted with ${session.version}, ${session.cipher}`
  const authority = tls.paths.ca ?? 'the authorities that Node trusts'
  switch (tls.mode) {
    case 'verify-full':
      return ok(ENCRYPTION, `${found}; certificate and host name are verified by ${authority}`)
    case 'verify-ca':
      return ok(ENCRYPTION, `${found}; the certificate is verified by ${authority}, the host name is not`)
    case 'require':
      return warning(ENCRYPTION, `${found}; the server is not verified, so another one can pass for it. ${HOW}`)
    default:
      return tls.mode satisfies never
  }
}
