import { defined } from '@cashflow/async'
import { type Address, AddressError, formatAddress, parseAddress, parseHosts, withPorts } from './address.ts'
import { type DatabaseTls, normalizeTls, takeTls } from './database-tls.ts'

/**
 * Splits a database URL into one connection string for pg for each host, in order. The URL has libpq's form:
 * `postgres://user:password@a:1,[::1]:2,c/database?parameter=value`.
 *
 * @throws AddressError
 */
export function hostUrls(url: string): readonly [string, ...string[]] {
  const address = readDatabaseUrl(url)
  const [first, ...rest] = address.hosts.map((host) => formatDatabaseUrl({ ...address, hosts: [host] }))
  return [defined(first, 'host'), ...rest]
}

/**
 * Separates what a database URL says about TLS from the rest, which pg can read.
 *
 * @returns no `tls` if the URL says nothing about it
 * @throws AddressError
 */
export function splitTls(url: string): { url: string; tls: DatabaseTls | undefined } {
  const address = readDatabaseUrl(url)
  const tls = takeTls(address.query)
  return { url: formatDatabaseUrl(address), tls }
}

/**
 * Formats the result of `readDatabaseUrl` as a URL. Characters such as `/` and `:` in the path are not encoded, because pg
 * does not decode `%2F` and `%3A`.
 */
export function formatDatabaseUrl(address: Address): string {
  return formatAddress(address, encodeURI(address.path))
}

/**
 * Reads a database URL. As in libpq, parameters may replace its parts: `host`, `port`, `user`, `password`, `dbname`.
 *
 * @throws AddressError
 */
export function readDatabaseUrl(text: string): Address {
  const address = parseAddress(text, ['postgres', 'postgresql'])
  const query = new URLSearchParams(address.query)
  const take = (name: string) => {
    const value = query.getAll(name).join(',')
    query.delete(name)
    return value === '' ? undefined : value
  }
  const hosts = take('host')
  // `?host=` does not replace the port of the URL.
  const [{ port: portBefore } = { port: undefined }] = hosts === undefined ? [] : address.hosts
  const ports = take('port') ?? portBefore
  const user = take('user') ?? address.user
  const password = take('password') ?? address.password
  const path = take('dbname') ?? address.path
  checkDatabaseName(path)
  checkServerKind(take('target_session_attrs'))
  normalizeTls(query)
  const named = hosts === undefined ? address.hosts : parseHosts(hosts)
  const all = named.length === 0 ? [{ name: 'localhost' }] : named
  return { ...address, user, password, path, query, hosts: ports === undefined ? all : withPorts(all, ports) }
}

/** @throws AddressError for a name that pg cannot read from a URL */
export function checkDatabaseName(name: string): void {
  if (/[?#@]/.test(name)) throw new AddressError('must not have ?, # or @ in the name of the database')
}

/** Payments are never read from a standby, so a URL that asks for one is invalid. */
function checkServerKind(wanted: string | undefined): void {
  if (wanted !== undefined && !['any', 'read-write', 'primary'].includes(wanted))
    throw new AddressError('must not have a target_session_attrs other than read-write, primary or any')
}
