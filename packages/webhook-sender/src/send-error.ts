import { tlsFault } from '@cashflow/async'

/** A request that failed before its answer began. The message is one of a fixed set, for the integrator. */
export class SendError extends Error {}

const BY_CODE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection closed: the endpoint closed it without an answer',
  EPIPE: 'connection closed: the endpoint closed it without an answer',
  ETIMEDOUT: 'unreachable: no connection to any address of the host',
  EHOSTUNREACH: 'unreachable: no connection to any address of the host',
  ENETUNREACH: 'unreachable: no connection to any address of the host',
  EADDRNOTAVAIL: 'unreachable: no connection to any address of the host',
  HPE_HEADER_OVERFLOW: 'bad answer: its headers are too long',
}

const BY_TLS_FAULT = {
  authority: 'certificate: not signed by a trusted authority',
  name: 'certificate: for another host name',
  expired: 'certificate: expired',
  not_yet_valid: 'certificate: not valid yet',
  own_certificate: 'certificate: the endpoint asks for one of the client',
  no_tls: 'tls: the endpoint does not speak TLS on this port',
  other: 'tls: no secure connection',
} as const

/** Names what went wrong, as one of a fixed set of texts: a code, and for some after a colon what it means. */
export function sendErrorText(error: unknown): string {
  if (error instanceof SendError) return error.message
  const fault = tlsFault(error)
  if (fault) return BY_TLS_FAULT[fault.kind]
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return BY_CODE[code] ?? (code.startsWith('HPE_') ? 'bad answer: not HTTP' : 'failed')
}
