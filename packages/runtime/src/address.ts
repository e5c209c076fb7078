import { isIPv6 } from 'node:net'

/** An invalid address. The message is for an operator, and shows no part of the address, which may hold a password. */
export class AddressError extends Error {}

export interface Host {
  /** A name, an IP address without brackets, or the absolute path of a directory with Unix sockets. */
  readonly name: string
  readonly port?: string | undefined
}

/** A URL of a server, with one or more hosts. All parts are decoded. */
export interface Address {
  /** The scheme in lower case, without the colon. */
  readonly scheme: string
  readonly user: string | undefined
  readonly password: string | undefined
  readonly hosts: readonly Host[]
  /** The path without its first slash. */
  readonly path: string
  readonly query: URLSearchParams
}

const URL_PARTS = /^([a-z][a-z0-9+.-]*):\/\/(?:([^/?#]*)@)?([^/?#]*)(?:\/([^?#]*))?(?:\?([^#]*))?(#.*)?$/is
const PORTS = 'must have ports from 1 to 65535'
const QUOTES = 'must not have quotes around it'
const HOSTS = 'must have hosts such as db, db:5433, 10.0.0.1 or [::1]:5433'
const ENCODE =
  'must percent-encode special characters in the user and the password: % is %25, @ is %40, : is %3A, / is %2F, ? is %3F, # is %23'

/**
 * Reads `scheme://user:password@host:port,host:port/path?query`. The user, the password and the hosts may be missing.
 *
 * @param schemes the accepted schemes, in lower case
 * @throws AddressError
 */
export function parseAddress(text: string, schemes: readonly string[]): Address {
  const url = text.trim()
  if (/^["'`]|["'`]$/.test(url)) throw new AddressError(QUOTES)
  const [, scheme = '', login, hosts = '', path = '', query = '', fragment] = URL_PARTS.exec(url) ?? []
  if (!schemes.includes(scheme.toLowerCase()))
    throw new AddressError(`must begin with ${schemes.map((name) => `${name}://`).join(' or ')}`)
  const parameters = new URLSearchParams(query)
  // An unescaped / ? or # in a password moves the rest of the password into these parts.
  if (fragment !== undefined || path.includes('@') || [...parameters.keys()].some((name) => name.includes('@')))
    throw new AddressError(ENCODE)
  const [user, ...password] = login?.split(':') ?? []
  return {
    scheme: scheme.toLowerCase(),
    user: user === undefined ? undefined : decode(user),
    password: password.length === 0 ? undefined : decode(password.join(':')),
    hosts: hosts === '' ? [] : hosts.split(',').map((host) => parseUrlHost(host)),
    path: decode(path),
    query: parameters,
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new AddressError(ENCODE)
  }
}

function parseUrlHost(text: string): Host {
  const [, name, port] = /^(\[.*\]|[^:]*)(?::(\d*))?$/.exec(text) ?? []
  // Most often this is the beginning of a password, up to an unescaped / ? or #.
  if (name === undefined) throw new AddressError(`${HOSTS}, and ${ENCODE}`)
  return { name: hostName(name.startsWith('[') ? name : decode(name)), port: port ? portNumber(port) : undefined }
}

/**
 * Reads a list of hosts such as `db,db:5433,::1,[::1]:5433,/var/run/postgresql`. Blanks around a host are ignored.
 *
 * @throws AddressError
 */
export function parseHosts(text: string): readonly Host[] {
  return text.split(',').map(parseListedHost)
}

/**
 * Adds a port to each host without one.
 *
 * @param ports one port for all hosts, or one for each, separated by commas
 * @throws AddressError
 */
export function withPorts(hosts: readonly Host[], ports: string): readonly Host[] {
  const given = ports.split(',').map((port) => portNumber(port.trim()))
  if (given.length !== 1 && given.length !== hosts.length)
    throw new AddressError('must have one port for all hosts, or one for each')
  return hosts.map(({ name, port }, index) => ({ name, port: port ?? given[index] ?? given[0] }))
}

function parseListedHost(part: string): Host {
  const host = part.trim()
  if (host.startsWith('/') || isIPv6(host)) return { name: hostName(host) }
  const [, name = host, port] = /^(\[.*\]|[^:]*):(\d+)$/.exec(host) ?? []
  return { name: hostName(name), port: port === undefined ? undefined : portNumber(port) }
}

/** @returns the name without the brackets of an IPv6 address */
function hostName(text: string): string {
  if (/["'`]/.test(text)) throw new AddressError(QUOTES)
  if (/\/\.s\.PGSQL\.\d+$/.test(text)) throw new AddressError('must name the folder of a Unix socket, not its file')
  if (text.startsWith('/')) return text
  const [, bracketed] = /^\[(.*)\]$/.exec(text) ?? []
  const name = bracketed ?? text
  if (isIPv6(name) && name.includes('%'))
    throw new AddressError('must not name an IPv6 address with a zone, such as %eth0: give a host name instead')
  if (isIPv6(name)) return name
  if (bracketed !== undefined || !/^[\p{L}\p{N}_.-]+$/u.test(name)) throw new AddressError(HOSTS)
  return name
}

function portNumber(text: string): string {
  if (!isPort(text)) throw new AddressError(PORTS)
  return text
}

/** True for a port that a server can listen on, in plain decimal digits. */
export function isPort(text: string): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535
}

/**
 * Formats an address as a URL. Its parts are encoded, so that all URL parsers agree.
 *
 * @param path the path as part of the URL. By default every character except letters and digits is percent-encoded.
 */
export function formatAddress(address: Address, path = encodeURIComponent(address.path)): string {
  const { scheme, user, password, hosts, query } = address
  const login = password === undefined ? [user ?? ''] : [user ?? '', password]
  const places = hosts.map(({ name, port }) => {
    const host = isIPv6(name) ? `[${name}]` : encodeURIComponent(name)
    return port === undefined ? host : `${host}:${port}`
  })
  const parameters = [...query].map((pair) => pair.map((part) => encodeURIComponent(part)).join('='))
  const search = parameters.length === 0 ? '' : `?${parameters.join('&')}`
  const before = login.join('') === '' ? '' : `${login.map((part) => encodeURIComponent(part)).join(':')}@`
  return `${scheme}://${before}${places.join(',')}/${path}${search}`
}
