import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { LookupFunction } from 'node:net'
import type { Duplex } from 'node:stream'

interface ConnectionOptions {
  readonly lookup: LookupFunction
  /** Authorities that certificates must come from, as PEM text. Default: those that Node trusts. */
  readonly ca?: string | Buffer | undefined
  /** Connections to one host and port, in use and idle. */
  readonly socketsPerHostMax: number
  /** Idle connections to all hosts. */
  readonly idleSocketsMax: number
  /** Time after which an idle connection is closed. */
  readonly idleMs: number
  /** Age from which a connection is not used again, so that a changed DNS answer takes effect. */
  readonly ageMaxMs: number
}

/** Time for one of several addresses of a host. With Node's default of 250 ms a distant one would never be reached. */
const ADDRESS_ATTEMPT_MS = 2_500

export type Connections = ReturnType<typeof createConnections>

/**
 * Keeps connections for later requests. Node's global agents are not used: they may go through a proxy of the environment,
 * which resolves names itself.
 */
export function createConnections({ lookup, ca, socketsPerHostMax, ...limits }: ConnectionOptions) {
  const options = {
    keepAlive: true,
    maxSockets: socketsPerHostMax,
    timeout: limits.idleMs,
    lookup,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: ADDRESS_ATTEMPT_MS,
  }
  // NODE_TLS_REJECT_UNAUTHORIZED=0 must not hold for webhooks.
  const secureOptions = { ...options, rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) }
  const kept = { 'https:': new HttpsAgent(secureOptions), 'http:': new HttpAgent(options) }
  const fresh = {
    'https:': new HttpsAgent({ ...secureOptions, keepAlive: false }),
    'http:': new HttpAgent({ ...options, keepAlive: false }),
  }
  const idle = new Set<Duplex>()
  for (const agent of Object.values(kept)) limitIdle(agent, idle, limits)
  return {
    /** Uses an idle connection if there is one. */
    kept,
    /** Opens a new connection for each request. */
    fresh,
    close() {
      for (const agent of [...Object.values(kept), ...Object.values(fresh)]) agent.destroy()
    },
  }
}

/** `maxTotalSockets` is no help: a request to a new host would wait until connections to others are no longer idle. */
function limitIdle(
  agent: HttpAgent,
  idle: Set<Duplex>,
  { idleSocketsMax, ageMaxMs }: { idleSocketsMax: number; ageMaxMs: number },
): void {
  const firstKept = new WeakMap<Duplex, number>()
  // Node's own version returns a boolean, which its types do not tell.
  const keep = agent.keepSocketAlive.bind(agent) as (socket: Duplex) => boolean
  const reuse = agent.reuseSocket.bind(agent)
  const keepSocketAlive = (socket: Duplex): boolean => {
    const nowMs = performance.now()
    const sinceMs = firstKept.get(socket)
    if (nowMs - (sinceMs ?? nowMs) >= ageMaxMs || !keep(socket)) return false
    if (sinceMs === undefined) {
      firstKept.set(socket, nowMs)
      socket.once('close', () => idle.delete(socket))
    }
    idle.add(socket)
    for (const longest of idle) {
      if (idle.size <= idleSocketsMax) break
      idle.delete(longest)
      longest.destroy()
    }
    return true
  }
  agent.keepSocketAlive = keepSocketAlive
  agent.reuseSocket = (socket, request) => {
    idle.delete(socket)
    reuse(socket, request)
  }
}
