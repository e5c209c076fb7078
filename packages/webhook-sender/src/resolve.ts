import type { LookupAddress } from 'node:dns'
import { Resolver } from 'node:dns/promises'
import type { LookupFunction } from 'node:net'
import { type AddressPolicy, isAllowedAddress } from './address-policy.ts'
import { isLocalhost } from './check-url.ts'
import { SendError } from './send-error.ts'

const DNS_TIMEOUT_MS = 2_000
const DNS_TRIES = 2
/** A resolver reads /etc/resolv.conf when it is made, and never again. */
const RESOLVER_AGE_MAX_MS = 60_000
/** All addresses are checked. A name with hundreds of dead ones must not take the whole deadline. */
const CONNECTED_ADDRESSES_MAX = 8
const NO_SUCH_NAME = new Set(['ENOTFOUND', 'ENODATA'])

export interface CheckedLookup {
  /** For a socket: it connects to what this has checked, and nothing is resolved twice. */
  readonly lookup: LookupFunction
  /** Ends queries. Those of a resolver that was replaced end by themselves within seconds. */
  cancel(): void
}

/**
 * Resolves names to addresses that the policy allows. One address that it does not allow refuses the whole name.
 *
 * The queries are sent by c-ares. `dns.lookup` would occupy one of libuv's four threads, so that a few names whose DNS
 * servers are dead would delay every other delivery. The hosts file and search domains are not read.
 *
 * @param servers addresses of DNS servers, such as `127.0.0.1:5300`. Default: those of the machine.
 */
export function createCheckedLookup(policy: AddressPolicy, servers?: readonly string[]): CheckedLookup {
  const open = () => {
    const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES, maxTimeout: DNS_TIMEOUT_MS })
    if (servers) resolver.setServers(servers)
    return { resolver, madeMs: performance.now() }
  }
  let current = open()
  const resolve = async (name: string): Promise<LookupAddress[]> => {
    if (performance.now() - current.madeMs > RESOLVER_AGE_MAX_MS) current = open()
    const found = isLocalhost(name) ? LOOPBACK : await query(current.resolver, name)
    if (!found.every(({ address }) => isAllowedAddress(address, policy)))
      throw new SendError('refused address: the host name has an address that is not allowed')
    return found.slice(0, CONNECTED_ADDRESSES_MAX)
  }
  return {
    lookup(name, { all }, callback) {
      resolve(name).then(
        (addresses) => {
          const [first] = addresses
          if (all) callback(null, addresses)
          else callback(null, first?.address ?? '', first?.family)
        },
        (error) => callback(error, ''),
      )
    },
    cancel: () => current.resolver.cancel(),
  }
}

const LOOPBACK: LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
]

/** @throws SendError if there is no address */
async function query(resolver: Resolver, name: string): Promise<LookupAddress[]> {
  // Both are awaited: an address that is not allowed must not depend on which answer comes first.
  const answers = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)])
  const found = answers.flatMap((answer, index) =>
    answer.status === 'fulfilled' ? answer.value.map((address) => ({ address, family: index === 0 ? 4 : 6 })) : [],
  )
  if (found.length > 0) return found
  const unknown = answers.every((answer) => answer.status === 'rejected' && NO_SUCH_NAME.has(answer.reason.code))
  throw new SendError(unknown ? 'name not found' : 'name not resolved: its DNS servers give no answer')
}
