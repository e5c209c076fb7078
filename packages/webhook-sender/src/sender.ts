import { isIP } from 'node:net'
import type { AddressPolicy } from './address-policy.ts'
import { checkUrl, hostOf } from './check-url.ts'
import { type Connections, createConnections } from './connections.ts'
import { type Ending, exchange } from './exchange.ts'
import { createCheckedLookup } from './resolve.ts'
import { SendError, sendErrorText } from './send-error.ts'

/** What became of one request. An answer of any status is no `error`, also 3xx, which is not followed. */
export type Attempt =
  | {
      readonly durationMs: number
      readonly status: number
      /** The beginning of the answer's body, at most 1,024 bytes of well-formed text without NUL. */
      readonly answer: string
      /** From the header `Retry-After`, at most 24 hours. */
      readonly retryAfterMs?: number
      /** From the header `Webhook-Outcome`: what the receiver says that it did. 1 to 32 lower-case letters. Not after a repeat. */
      readonly outcome?: string
    }
  | {
      readonly durationMs: number
      readonly status?: undefined
      /** One of a fixed set of texts: a code, and for some after a colon what it means. Without the URL. */
      readonly error: string
    }

export interface Sender {
  /**
   * Sends one POST. It may reach the endpoint twice: an idle connection that the endpoint has closed is replaced once, and the
   * endpoint may have read the first request. The status counts as soon as the head of the answer has come, even if its body
   * is cut off, too long or too slow.
   *
   * Never rejects for what the endpoint or DNS does, and takes at most the deadline.
   *
   * @param signal ends the request. The attempt then has the error `stopped`, unless the head of the answer has come.
   */
  post(
    url: string,
    headers: Readonly<Record<string, string>>,
    body: Buffer | string,
    signal?: AbortSignal,
  ): Promise<Attempt>
  /** Ends all requests, and closes all connections. A later `post` fails with `stopped`. */
  close(): Promise<void>
}

export interface SenderOptions {
  readonly policy: AddressPolicy
  /** For one request, from the look-up of the name to the end of the answer. */
  readonly deadlineMs?: number
  /** Addresses of DNS servers, such as `127.0.0.1:5300`. Default: those of the machine. */
  readonly dnsServers?: readonly string[]
  /** Authorities that certificates must come from, as PEM text. Default: those that Node trusts. */
  readonly ca?: string | Buffer
  /** Connections to one host and port. Further requests wait, which counts as their time. */
  readonly socketsPerHostMax?: number
  /** Idle connections to all hosts. Beyond that the one that has been idle longest is closed. */
  readonly idleSocketsMax?: number
  /** Time after which an idle connection is closed. */
  readonly idleMs?: number
  /** Age from which a connection is not used again. A changed DNS answer takes effect by then. */
  readonly connectionAgeMaxMs?: number
}

/**
 * Sends webhooks to addresses that the policy allows, and to no other. URLs and resolved addresses are checked for each
 * connection, and the connection goes to an address that was checked. Redirects, proxies and cookies are not followed or
 * used. At most 64 kB of an answer are read, also of an endless one.
 */
export function createSender({
  policy,
  deadlineMs = 20_000,
  dnsServers,
  ca,
  socketsPerHostMax = 128,
  idleSocketsMax = 256,
  idleMs = 4_000, // Many servers close idle connections after 5 seconds.
  connectionAgeMaxMs: ageMaxMs = 60_000,
}: SenderOptions): Sender {
  const names = createCheckedLookup(policy, dnsServers)
  const { lookup } = names
  const connections = createConnections({ lookup, ca, socketsPerHostMax, idleSocketsMax, idleMs, ageMaxMs })
  const running = new Set<AbortController>()
  let isClosed = false
  const deadlineText = `within ${deadlineMs / 1_000} s`

  return {
    async post(url, headers, body, signal) {
      const startedMs = performance.now()
      const checked = checkUrl(url, policy)
      const ending = new AbortController()
      const stop = () => ending.abort(new SendError('stopped'))
      const timer = setTimeout(() => ending.abort(new SendError(`timeout: no answer ${deadlineText}`)), deadlineMs)
      const hasPassed = () => performance.now() - startedMs >= deadlineMs
      signal?.addEventListener('abort', stop)
      running.add(ending)
      if (isClosed || signal?.aborted) stop()
      try {
        const outcome =
          'refused' in checked
            ? { error: `refused address: the URL ${checked.refused}` }
            : await send(connections, requestOf(checked.url, headers), body, { signal: ending.signal, hasPassed })
        return { durationMs: Math.round(performance.now() - startedMs), ...outcome }
      } finally {
        clearTimeout(timer)
        signal?.removeEventListener('abort', stop)
        running.delete(ending)
      }
    },
    async close() {
      isClosed = true
      for (const ending of running) ending.abort(new SendError('stopped'))
      names.cancel()
      connections.close()
    },
  }
}

function requestOf(url: URL, headers: Readonly<Record<string, string>>) {
  const host = hostOf(url)
  return {
    protocol: url.protocol === 'https:' ? ('https:' as const) : ('http:' as const),
    host,
    port: url.port || (url.protocol === 'https:' ? 443 : 80),
    path: `${url.pathname}${url.search}`,
    // Node would take it from a header `host`. RFC 6066 §3 has no IP address here.
    servername: isIP(host) ? '' : host,
    headers,
  }
}

/** Sends a request once more if it was sent on an idle connection that the endpoint had closed. */
async function send(
  { kept, fresh }: Connections,
  request: ReturnType<typeof requestOf>,
  body: Buffer | string,
  ending: Ending,
) {
  if (ending.signal.aborted) return { error: sendErrorText(ending.signal.reason) }
  const { protocol } = request
  const first = await exchange({ ...request, agent: kept[protocol] }, body, ending)
  const isStale = first.kind === 'stale'
  const { kind: _kind, ...ended } = isStale
    ? await exchange({ ...request, agent: fresh[protocol] }, body, ending)
    : first
  // The endpoint may have read the first request: then it takes this one for a duplicate.
  if (isStale && 'outcome' in ended) delete ended.outcome
  return ended
}
