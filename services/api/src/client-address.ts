import type { IncomingMessage } from 'node:http'
import { BlockList, isIP, isIPv4, isIPv6, SocketAddress } from 'node:net'
import { defined } from '@cashflow/async'

/** A network, such as 10.0.0.0/8. */
export interface Network {
  readonly address: string
  /** Number of leading bits that its addresses share. */
  readonly prefix: number
}

/**
 * Reads networks in CIDR notation, separated by commas. An address without a prefix is a network of one address.
 *
 * @returns undefined unless every one is well-formed
 */
export function readNetworks(text: string): readonly Network[] | undefined {
  const networks = text.split(',').map((network) => readNetwork(network.trim()))
  return networks.every((network) => network !== undefined) ? networks : undefined
}

function readNetwork(text: string): Network | undefined {
  const [, written = '', digits] = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? []
  if (isIP(written) === 0) return undefined
  const address = isIPv6(written) ? canonicalIPv6(written) : written
  const bits = isIPv4(address) ? 32 : 128
  // Clients with IPv4-mapped addresses are known by their IPv4 addresses, so a network of mapped ones is one of IPv4 too.
  const mappedBits = isIPv4(written) ? 0 : 128 - bits
  const prefix = Number(digits ?? bits + mappedBits) - mappedBits
  return prefix >= 0 && prefix <= bits ? { address, prefix } : undefined
}

/** A longer list is no chain of proxies, and would cost milliseconds before the client is known. */
const ENTRIES_MAX = 32

export type ClientAddressOf = (req: IncomingMessage) => string

/**
 * Finds the address of the client that sent a request. It is the last address of `X-Forwarded-For` that is in none of the
 * trusted networks: every proxy appends the address that it was called from, and a client can send any beginning. The walk
 * starts at the socket's own peer, so the header counts only if a trusted proxy sent it. It ends before a malformed entry,
 * and after 32 entries.
 */
export function createClientAddressOf(trusted: readonly Network[]): ClientAddressOf {
  if (trusted.length === 0) return peerOf
  const networks = blockListOf(trusted)
  return (req) => {
    const forwarded = [req.headers['x-forwarded-for'] ?? ''].flat().join()
    let client = peerOf(req)
    for (let end = forwarded.length, entries = 0; end > 0 && networks.check(client, familyOf(client)); entries++) {
      if (entries === ENTRIES_MAX) return client
      const comma = forwarded.lastIndexOf(',', end - 1)
      const entry = forwarded.slice(comma + 1, end).trim()
      end = comma
      if (entry === '') continue // RFC 9110 §5.6.1.2: a list may have empty elements.
      const address = readAddress(entry)
      if (address === undefined) return client
      client = address
    }
    return client
  }
}

/** Tells whether a trusted proxy sent a request, so that its headers about its client count. */
export function createIsProxy(trusted: readonly Network[]): (req: IncomingMessage) => boolean {
  const networks = blockListOf(trusted)
  return (req) => {
    const peer = peerOf(req)
    return networks.check(peer, familyOf(peer))
  }
}

function blockListOf(trusted: readonly Network[]): BlockList {
  const networks = new BlockList()
  for (const { address, prefix } of trusted) networks.addSubnet(address, prefix, familyOf(address))
  return networks
}

function peerOf({ socket }: IncomingMessage): string {
  const peer = defined(socket.remoteAddress, 'the address of a connected client')
  return peer.includes(':') ? canonicalIPv6(peer) : peer
}

const ENTRY = /^(?:\[([^\]]+)\](?::\d{1,5})?|([\d.]+)(?::\d{1,5})?|([^[\]]+))$/

/** Reads an address as proxies write it: some append the port, and some put IPv6 into brackets. */
function readAddress(entry: string): string | undefined {
  const [, bracketed, v4, v6] = ENTRY.exec(entry) ?? []
  const address = bracketed ?? v4 ?? v6 ?? ''
  if (isIPv6(address)) return canonicalIPv6(address)
  return isIPv4(address) ? address : undefined
}

/** Returns the spelling of RFC 5952, without a zone. An IPv4-mapped address (RFC 4291 §2.5.5.2) becomes the IPv4 address. */
function canonicalIPv6(address: string): string {
  const canonical = new SocketAddress({ address, family: 'ipv6' }).address
  return canonical.startsWith('::ffff:') && canonical.includes('.') ? canonical.slice('::ffff:'.length) : canonical
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4'
}

/**
 * Returns what limits count as one client: an IPv4 address, or the network /64 of an IPv6 address. A client with one IPv6
 * address usually has its whole network.
 *
 * @param address in canonical spelling
 */
export function clientNetwork(address: string): string {
  if (!address.includes(':')) return address
  const [head = [], tail = []] = address.split('::').map((groups) => groups.split(':').filter(Boolean))
  const zeros = new Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0')
  return `${[...head, ...zeros, ...tail].slice(0, 4).join(':')}::/64`
}
