import { AddressError } from './address.ts'
import { CertificateError, type CertificatePaths, pairFault, readCertificates } from './certificates.ts'

/** How a connection to PostgreSQL is protected: the modes of libpq's `sslmode` that promise something. */
export type DatabaseTlsMode = 'disable' | 'require' | 'verify-ca' | 'verify-full'

export interface DatabaseTls {
  readonly mode: DatabaseTlsMode
  /** Without `ca`, the authorities are those that Node trusts. */
  readonly paths: CertificatePaths
  /** TLS begins at once, without PostgreSQL's SSLRequest. */
  readonly isDirect: boolean
}

/** The setting of each parameter. A parameter of `DATABASE_URL` takes precedence over it. */
export const TLS_SETTINGS = {
  sslmode: 'DB_SSLMODE',
  sslrootcert: 'DB_SSLROOTCERT',
  sslcert: 'DB_SSLCERT',
  sslkey: 'DB_SSLKEY',
} as const

type Parameter = keyof typeof TLS_SETTINGS | 'ssl' | 'sslnegotiation'

const PARAMETERS = [...(Object.keys(TLS_SETTINGS) as (keyof typeof TLS_SETTINGS)[]), 'sslnegotiation'] as const
/** pg's name of `require` without an authority. */
const NO_VERIFY = 'no-verify'
const MODES: readonly string[] = ['disable', 'require', 'verify-ca', 'verify-full', NO_VERIFY]
const MODE = 'must be disable, require, verify-ca or verify-full'

/** Parameters that an operator may rely on: misspelt ones, and those of libpq that are not supported. */
const ABOUT_PROTECTION = /ssl|tls|gssenc|channel_binding|requirepeer|require_auth/i

/** A parameter of a database URL about TLS that cannot be used. */
export class TlsParameterError extends AddressError {
  readonly parameter: Parameter
  /** What is wrong, for a message that has named the setting. */
  readonly reason: string

  constructor(parameter: Parameter, reason: string) {
    super(`parameter ${parameter} ${reason}`)
    this.parameter = parameter
    this.reason = reason
  }
}

/** @throws TlsParameterError */
export function checkTlsMode(mode: string): void {
  if (mode === 'prefer' || mode === 'allow')
    throw new TlsParameterError('sslmode', `${MODE}: with ${mode} a connection may be unencrypted`)
  if (!MODES.includes(mode)) throw new TlsParameterError('sslmode', MODE)
}

/** @throws TlsParameterError if the file is not PEM, or cannot be read */
export function checkRootCertificate(file: string): void {
  if (file !== SYSTEM) check('sslrootcert', () => void readCertificates({ ca: file }))
}

/** libpq's name for the authorities that the TLS library trusts. */
const SYSTEM = 'system'

/**
 * Replaces the other names of a mode by `sslmode`: `ssl`, which pg has, and the files or `sslnegotiation=direct` alone. Checks
 * each parameter by itself. libpq's rules are always in force, so `uselibpqcompat` has no meaning.
 *
 * @throws TlsParameterError
 */
export function normalizeTls(query: URLSearchParams): void {
  const ssl = query.get('ssl')
  const mode = query.get('sslmode') ?? impliedMode(query, ssl)
  for (const name of ['ssl', 'sslmode', 'uselibpqcompat']) query.delete(name)
  for (const name of query.keys())
    if (ABOUT_PROTECTION.test(name) && !(PARAMETERS as readonly string[]).includes(name))
      throw new AddressError(`must not have the parameter ${name}, which has no effect`)
  if (mode === undefined) return
  checkTlsMode(mode)
  query.set('sslmode', mode)
  const negotiation = query.get('sslnegotiation') ?? 'postgres'
  if (negotiation !== 'postgres' && negotiation !== 'direct')
    throw new TlsParameterError('sslnegotiation', 'must be postgres or direct')
  if (mode === 'disable') return
  const [ca, cert] = [query.get('sslrootcert'), query.get('sslcert')]
  if (ca !== null) checkRootCertificate(ca)
  if (cert !== null) check('sslcert', () => void readCertificates({ cert }))
}

function impliedMode(query: URLSearchParams, ssl: string | null): string | undefined {
  if (ssl === 'false' || ssl === '0') return 'disable'
  if (ssl !== null && ssl !== 'true' && ssl !== '1') throw new TlsParameterError('ssl', 'must be true or false')
  const isNamed = ['sslrootcert', 'sslcert', 'sslkey'].some((name) => query.has(name))
  return isNamed || ssl !== null || query.get('sslnegotiation') === 'direct' ? 'verify-full' : undefined
}

/**
 * Separates what a database URL says about TLS from the rest. Undefined means that it says nothing.
 *
 * As in libpq, `require` with an authority is `verify-ca`. With the authorities that everybody trusts only the host name tells
 * servers apart, so then only `verify-full` is allowed.
 *
 * @param query parameters that `normalizeTls` has seen
 * @throws TlsParameterError for parameters that do not fit together
 */
export function takeTls(query: URLSearchParams): DatabaseTls | undefined {
  const [mode, root, cert, key, negotiation] = PARAMETERS.map((name) => {
    const value = query.get(name)
    query.delete(name)
    return value ?? undefined
  })
  if (mode === undefined) return undefined
  const isDirect = negotiation === 'direct'
  if (mode === 'disable') {
    if (isDirect) throw new TlsParameterError('sslnegotiation', 'must not be direct without TLS')
    return { mode, paths: {}, isDirect }
  }
  const fault = pairFault({ cert, key }, { cert: 'sslcert (DB_SSLCERT)', key: 'sslkey (DB_SSLKEY)' })
  if (fault !== undefined) throw new TlsParameterError(key === undefined ? 'sslcert' : 'sslkey', fault)
  const ca = root === SYSTEM || mode === NO_VERIFY ? undefined : root
  if (root === SYSTEM && mode !== 'verify-full')
    throw new TlsParameterError('sslmode', 'must be verify-full with sslrootcert=system')
  if (mode === 'verify-ca' && ca === undefined)
    throw new TlsParameterError(
      'sslmode',
      'must be verify-full, or sslrootcert (DB_SSLROOTCERT) must name an authority',
    )
  return { mode: modeInForce(mode, ca), paths: { ca, cert, key }, isDirect }
}

function modeInForce(mode: string, ca: string | undefined): DatabaseTlsMode {
  if (mode === 'verify-full') return mode
  return mode === 'verify-ca' || ca !== undefined ? 'verify-ca' : 'require'
}

function check(parameter: Parameter, run: () => void): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof CertificateError)) throw error
    throw new TlsParameterError(parameter, `must name a usable file: ${error.message}`)
  }
}
