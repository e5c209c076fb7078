/** A server that TLS refused, or that refused us. `reason` is one clear line about the server. */
export interface TlsFault {
  readonly kind: 'authority' | 'name' | 'expired' | 'not_yet_valid' | 'own_certificate' | 'no_tls' | 'other'
  readonly reason: string
  /** The words of OpenSSL or Node, or their code. */
  readonly detail: string
}

const AUTHORITY = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'CERT_REJECTED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'INVALID_CA',
])
/** Alerts about the client's certificate (RFC 8446 §6.2). TLS 1.2 says handshake_failure if there is none. */
const OWN_CERTIFICATE =
  /alert (certificate required|bad certificate|unsupported certificate|certificate (revoked|expired|unknown)|unknown ca|access denied|handshake failure)/
const NO_TLS = /wrong version number|packet length too long|record layer failure/

const OTHER = /^(ERR_(SSL|TLS|OSSL)_|CERT_|INVALID_PURPOSE$|PATH_LENGTH_EXCEEDED$)/

/** Explains why a client could not open a TLS connection. Undefined for an error that is not about TLS. */
export function tlsFault(error: unknown): TlsFault | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  const code = String(error.code)
  const detail = 'reason' in error ? String(error.reason) : code
  const fault = (kind: TlsFault['kind'], reason: string) => ({ kind, reason, detail })
  if (AUTHORITY.has(code)) return fault('authority', `its certificate is not signed by a trusted authority (${code})`)
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return fault('name', `its certificate is for another name: ${detail}`)
  if (code === 'CERT_HAS_EXPIRED') return fault('expired', 'its certificate, or that of its authority, has expired')
  if (code === 'CERT_NOT_YET_VALID')
    return fault('not_yet_valid', 'its certificate, or that of its authority, is not valid yet')
  if (!OTHER.test(code)) return undefined
  if (OWN_CERTIFICATE.test(detail))
    return fault('own_certificate', `it refuses our client certificate, or misses one (${detail})`)
  if (NO_TLS.test(detail)) return fault('no_tls', `it does not speak TLS on this port (${detail})`)
  return fault('other', `TLS failed: ${detail}`)
}
