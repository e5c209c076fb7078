import { type TlsFault, tlsFault } from '@cashflow/async'

/** pg's message when PostgreSQL answers an SSLRequest with no. It has no code. */
export const NO_TLS = 'The server does not support SSL connections'

/**
 * TLS with PostgreSQL failed. It may end by itself: certificates are replaced while processes run. Its code is
 * `sqlclient_unable_to_establish_sqlconnection`, so that it is treated as a server that is away.
 */
export class DatabaseTlsError extends Error {
  readonly code = '08001'
  /** What an operator has to look at. */
  readonly settings: string

  constructor(message: string, settings: string) {
    super(message)
    this.settings = settings
  }
}

/** The error with a message for an operator if TLS failed, else undefined. */
export function tlsError(error: Error): DatabaseTlsError | undefined {
  if (error instanceof DatabaseTlsError) return error
  if (error.message === NO_TLS)
    return new DatabaseTlsError('PostgreSQL does not offer TLS', 'DB_SSLMODE, and ssl of PostgreSQL')
  const fault = tlsFault(error)
  return fault && new DatabaseTlsError(...explain(fault))
}

function explain({ kind, detail }: TlsFault): [message: string, settings: string] {
  switch (kind) {
    case 'expired':
      return [
        "PostgreSQL's certificate has expired, or its authority's",
        'ssl_cert_file of PostgreSQL, and DB_SSLROOTCERT',
      ]
    case 'not_yet_valid':
      return ["PostgreSQL's certificate is not valid yet", "ssl_cert_file of PostgreSQL, and this machine's clock"]
    case 'name':
      return [`PostgreSQL's certificate has another name: ${detail}`, 'DATABASE_URL, or DB_HOST and DB_SSLMODE']
    case 'authority':
      return [`PostgreSQL's certificate is not of a trusted authority: ${detail}`, 'DB_SSLROOTCERT']
    case 'own_certificate':
      return [`PostgreSQL refuses the certificate of this process: ${detail}`, 'DB_SSLCERT and DB_SSLKEY']
    default:
      return [`TLS with PostgreSQL failed: ${detail}`, 'DB_SSLMODE']
  }
}
