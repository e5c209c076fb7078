import { type DatabaseTls, hostUrls, type Logger, redactedErrorMessage, splitTls } from '@cashflow/runtime'
import { parseIntoClientConfig } from 'pg-connection-string'
import { DatabaseSettingError, NoHostError } from './errors.ts'

export interface Host {
  /** Address and port, without user and password. */
  readonly name: string
  /** Its URL without parameters about TLS. */
  readonly url: string
}

export type Hosts = ReturnType<typeof createHosts>

const NEXT_AFTER_MS = 250

/**
 * Keeps the hosts of a URL, one of which is the primary, in the order in which they are tried.
 *
 * @param url a PostgreSQL URL, in libpq's form where it has several hosts
 * @throws DatabaseSettingError when the URL cannot be read
 */
export function createHosts(url: string, logger: Logger) {
  const { tls, urls } = readUrl(url)
  const [first, ...others] = urls
  const all = [toHost(first), ...others.map(toHost)] as const
  let order: readonly Host[] = all
  let inUse: Host | undefined

  function use(host: Host): void {
    order = [host, ...order.filter((other) => other !== host)]
    if (host === inUse || all.length === 1) return
    if (!inUse) logger.info('database host in use', { host: host.name })
    else logger.warn('database host changed', { host: host.name, host_before: inUse.name })
    inUse = host
  }

  return {
    /** What the URL says about TLS. */
    tls,
    all,
    /** The host that is tried first. It is the one that last worked. */
    get first(): Host {
      return order[0] ?? all[0]
    },
    /**
     * Tries the hosts in their order until one attempt succeeds. The next attempt begins when the previous one has failed,
     * or after 250 ms without an answer. Each attempt needs a limit of its own.
     *
     * @param discard called with the results of attempts that succeed after the first one
     * @throws the error of the host if there is only one; otherwise a host's DatabaseSettingError, or NoHostError
     */
    reach<Got>(attempt: (host: Host) => Promise<Got>, discard: (late: Got) => void): Promise<Got> {
      return race(order, attempt, { onWon: use, discard })
    },
    /** Moves a host to the end of the order. */
    demote(host: Host): void {
      order = [...order.filter((other) => other !== host), host]
    },
  }
}

function race<Got>(
  hosts: readonly Host[],
  attempt: (host: Host) => Promise<Got>,
  { onWon, discard }: { onWon: (host: Host) => void; discard: (late: Got) => void },
): Promise<Got> {
  const { promise, resolve, reject } = Promise.withResolvers<Got>()
  const left = [...hosts]
  const errors = new Map<Host, unknown>()
  let isWon = false
  let patience: NodeJS.Timeout | undefined

  function next(): void {
    clearTimeout(patience)
    const host = left.shift()
    if (!host) return
    if (left.length > 0) patience = setTimeout(next, NEXT_AFTER_MS)
    attempt(host).then(
      (got) => {
        if (isWon) return discard(got)
        isWon = true
        clearTimeout(patience)
        onWon(host)
        resolve(got)
      },
      (error: unknown) => {
        errors.set(host, error)
        if (isWon) return
        if (errors.size === hosts.length) reject(failure(errors))
        else next()
      },
    )
  }

  next()
  return promise
}

/** Prefers the error about a setting: an operator has to correct it, whereas the others may end by themselves. */
function failure(errors: ReadonlyMap<Host, unknown>): unknown {
  const [first, ...others] = errors.values()
  if (others.length === 0) return first
  return [...errors.values()].find((error) => error instanceof DatabaseSettingError) ?? new NoHostError(errors)
}

function readUrl(url: string): { tls: DatabaseTls | undefined; urls: readonly [string, ...string[]] } {
  try {
    const { url: address, tls } = splitTls(url)
    return { tls, urls: hostUrls(address) }
  } catch (error) {
    throw new DatabaseSettingError(`DATABASE_URL ${redactedErrorMessage(error)}`)
  }
}

function toHost(url: string): Host {
  const { host, port } = parseIntoClientConfig(url)
  const name = host || 'localhost'
  return { name: name.startsWith('/') ? name : `${name.includes(':') ? `[${name}]` : name}:${port ?? 5432}`, url }
}
