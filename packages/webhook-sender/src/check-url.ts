import { isIP } from 'node:net'
import { type AddressPolicy, isAllowedAddress } from './address-policy.ts'

const URL_LENGTH_MAX = 2_048
/** Labels of up to 63 characters, 253 in all. The URL parser has made the name ASCII and lower case. */
const NAME = /^(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/

/**
 * Checks the URL of an endpoint without asking DNS. Each attempt checks it again, and the addresses of its name.
 *
 * Every port except 0 is allowed: without `allowPrivate` only TLS is spoken, which no other service mistakes for commands.
 *
 * @returns `refused`: a sentence for the integrator without its subject, such as `must begin with https://`. It does not
 *   contain the URL.
 */
export function checkUrl(text: string, policy: AddressPolicy): { url: URL } | { refused: string } {
  const refused = refusal(text, policy)
  return refused === undefined ? { url: new URL(text) } : { refused }
}

function refusal(text: string, policy: AddressPolicy): string | undefined {
  if (text.length > URL_LENGTH_MAX) return `must have at most ${URL_LENGTH_MAX} characters`
  // The parser would drop them, or read a backslash as a slash.
  if (/[\s\p{Cc}\\]/u.test(text)) return 'must not contain blanks, control characters or backslashes'
  const schemes = policy.allowPrivate ? ['https://', 'http://'] : ['https://']
  if (!schemes.some((scheme) => text.toLowerCase().startsWith(scheme))) return `must begin with ${schemes.join(' or ')}`
  const url = URL.parse(text)
  if (!url) return 'must be a valid URL'
  if (url.username || url.password || authority(text).includes('@')) return 'must not contain a user name or a password'
  if (text.includes('#')) return 'must not have a fragment'
  if (url.port === '0') return 'must not have port 0'
  return hostRefusal(hostOf(url), policy)
}

function hostRefusal(host: string, policy: AddressPolicy): string | undefined {
  const allowed = policy.allowPrivate ? 'a public or a private network' : 'the public Internet'
  if (isIP(host)) return isAllowedAddress(host, policy) ? undefined : `must have an address of ${allowed}`
  if (!NAME.test(host)) return 'must have a valid host name'
  if (policy.allowPrivate) return undefined
  if (isLocalhost(host)) return `must have an address of ${allowed}`
  return host.includes('.') ? undefined : 'must have a host name with a domain, such as hooks.example.com'
}

function authority(text: string): string {
  return /^[^:]*:\/\/([^/?#]*)/.exec(text)?.[1] ?? ''
}

/** The host of a URL, without the brackets of an IPv6 address and the last dot of a name. */
export function hostOf({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname.replace(/\.$/, '')
}

/** Names that are loopback addresses by definition (RFC 6761 §6.3). DNS is not asked for them. */
export function isLocalhost(name: string): boolean {
  return /(^|\.)localhost\.?$/.test(name)
}
