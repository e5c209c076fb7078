import type { IncomingMessage } from 'node:http'
import type { RequestHandler } from 'express'
import { refuse } from '../refusal.ts'

/** A name or an address, IPv6 in brackets, and a port (RFC 9110 §7.2). */
const HOST = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d{1,5}))?$/i

/** Names of the machine that the browser runs on. */
const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]'])

/** The name and the port that the browser calls the console by. Undefined unless there is one `Host`, and well-formed. */
export function hostOf({ headersDistinct }: IncomingMessage): { name: string; port: string | undefined } | undefined {
  const [host = '', ...others] = headersDistinct.host ?? []
  const [, name, port] = HOST.exec(host) ?? []
  return name === undefined || others.length > 0 ? undefined : { name: name.toLowerCase(), port }
}

export function isLoopback(req: IncomingMessage): boolean {
  return LOOPBACK.has(hostOf(req)?.name ?? '')
}

/**
 * Refuses a request by a name that the console was not told of. A foreign page can have a name of its own lead to this
 * machine (DNS rebinding). Its requests then count as those of the same origin, but have that name.
 */
export function requireHost(hosts: readonly string[]): RequestHandler {
  const known = new Set([...LOOPBACK, ...hosts])
  return (req, res, next) => {
    if (known.has(hostOf(req)?.name ?? '')) next()
    else refuse(res, 421, 'The console does not know this host name. CONSOLE_HOSTS lists the names that it has.')
  }
}
