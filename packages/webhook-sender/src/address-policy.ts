import { BlockList, isIP } from 'node:net'

export interface AddressPolicy {
  /** True allows loopback, RFC 1918, unique local IPv6 and `http:`, for tests and sandboxes. */
  readonly allowPrivate: boolean
}

const PRIVATE_IPV4 = ['10.0.0.0/8', '127.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16']

/** IANA's registry of special-purpose IPv4 addresses, without the private ones. */
const SPECIAL_IPV4 = [
  '0.0.0.0/8',
  '100.64.0.0/10', // Shared by carriers (RFC 6598). Alibaba's metadata is 100.100.100.200.
  '168.63.129.16/32', // Azure's metadata, on an address that is public elsewhere.
  '169.254.0.0/16', // Link-local, and metadata of most clouds.
  '192.0.0.0/24',
  '192.0.2.0/24', // Documentation, as 198.51.100 and 203.0.113.
  '192.31.196.0/24',
  '192.52.193.0/24',
  '192.88.99.0/24', // Relays of 6to4.
  '192.175.48.0/24',
  '198.18.0.0/15', // Benchmarks.
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4', // Multicast.
  '240.0.0.0/4', // Reserved, and broadcast.
]

const PRIVATE_IPV6 = ['::1/128', 'fc00::/7']

/** All global unicast addresses. Without them go IPv4 in IPv6 (mapped, NAT64), link-local, site-local and multicast. */
const GLOBAL_IPV6 = ['2000::/3']

const SPECIAL_IPV6 = [
  '2001::/23', // Teredo, benchmarks, ORCHID and other protocols of the IETF.
  '2001:db8::/32', // Documentation, as 3fff::/20.
  '2002::/16', // 6to4 has an IPv4 address inside.
  '2620:4f:8000::/48',
  '3ffe::/16', // Was the 6bone.
  '3fff::/20',
  // Metadata of clouds on unique local addresses: AWS, Google, Scaleway, Oracle.
  'fd00:ec2::/32',
  'fd20:ce::/32',
  'fd00:42::/32',
  'fd00:c1::/32',
]

const LISTS = {
  4: { private: blockList('ipv4', PRIVATE_IPV4), special: blockList('ipv4', SPECIAL_IPV4) },
  6: {
    private: blockList('ipv6', PRIVATE_IPV6),
    special: blockList('ipv6', SPECIAL_IPV6),
    global: blockList('ipv6', GLOBAL_IPV6),
  },
}

function blockList(family: 'ipv4' | 'ipv6', networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    list.addSubnet(address, Number(bits), family)
  }
  return list
}

/**
 * True if webhooks may be sent to an IP address: a public one, or with `allowPrivate` a private one. Every other special
 * address is refused with either policy. So is an IPv4 address inside an IPv6 address, even a public one.
 *
 * @param address without brackets. A text that is no IP address is refused, and so is one with a zone such as `%eth0`.
 */
export function isAllowedAddress(address: string, { allowPrivate }: AddressPolicy): boolean {
  switch (address.includes('%') ? 0 : isIP(address)) {
    case 4:
      if (LISTS[4].special.check(address, 'ipv4')) return false
      return allowPrivate || !LISTS[4].private.check(address, 'ipv4')
    case 6:
      if (LISTS[6].special.check(address, 'ipv6')) return false
      return LISTS[6].global.check(address, 'ipv6') || (allowPrivate && LISTS[6].private.check(address, 'ipv6'))
    default:
      return false
  }
}
