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

const UNTRUSTED =
  /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_(GET_ISSUER_CERT(_LOCALLY)?|VERIFY_LEAF_SIGNATURE)|CERT_(SIGNATURE_FAILURE|UNTRUSTED|REJECTED)|INVALID_CA)$/
const OWN_REFUSED = /ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|ACCESS_DENIED)$/
const OTHER_OF_TLS = /^(ERR_(SSL|TLS|OSSL)_|CERT_|INVALID_PURPOSE$|PATH_LENGTH_EXCEEDED$)/

/** The error with a message for an operator if TLS failed, else undefined. */
export function tlsError(error: Error & { code?: unknown; reason?: unknown }): DatabaseTlsError | undefined {
  if (error instanceof DatabaseTlsError) return error
  const explained = explain(error, typeof error.code === 'string' ? error.code : '')
  return explained && new DatabaseTlsError(...explained)
}

function explain(error: Error & { reason?: unknown }, code: string): [message: string, settings: string] | undefined {
  // The message of an OpenSSL error has places in its source.
  const reason = typeof error.reason === 'string' ? error.reason : error.message
  if (code === 'CERT_HAS_EXPIRED')
    return [
      "PostgreSQL's certificate has expired, or its authority's",
      'ssl_cert_file of PostgreSQL, and DB_SSLROOTCERT',
    ]
  if (code === 'CERT_NOT_YET_VALID')
    return ["PostgreSQL's certificate is not valid yet", "ssl_cert_file of PostgreSQL, and this machine's clock"]
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return [`PostgreSQL's certificate has another name: ${reason}`, 'DATABASE_URL, or DB_HOST and DB_SSLMODE']
  if (UNTRUSTED.test(code))
    return [`PostgreSQL's certificate is not of a trusted authority: ${reason}`, 'DB_SSLROOTCERT']
  if (error.message === NO_TLS) return ['PostgreSQL does not offer TLS', 'DB_SSLMODE, and ssl of PostgreSQL']
  if (OWN_REFUSED.test(code))
    return [`PostgreSQL refuses the certificate of this process: ${reason}`, 'DB_SSLCERT and DB_SSLKEY']
  if (OTHER_OF_TLS.test(code)) return [`TLS with PostgreSQL failed: ${reason}`, 'DB_SSLMODE']
  return undefined
}
