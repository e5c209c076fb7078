import dns from 'node:dns'
import { type LookupFunction, Socket } from 'node:net'
import { redactedErrorMessage } from '@cashflow/runtime'
import type pg from 'pg'
import { parseIntoClientConfig } from 'pg-connection-string'
import { DatabaseSettingError, type ReadOnlyError } from './errors.ts'
import { SET_BY_SESSION, type SessionLimits } from './session-settings.ts'
import type { SessionTls } from './tls.ts'

export interface SessionOptions extends Partial<SessionLimits> {
  url: string
  /** Shown in pg_stat_activity. */
  applicationName: string
}

export interface SessionConfig extends pg.ClientConfig {
  /** Each session reads the certificates again. */
  tls?: SessionTls | undefined
  /** Without limits the session neither sets nor checks any setting. */
  limits?: SessionLimits | undefined
  /** Called with the reason when a session is refused. The caller of `connect` gets it as well. */
  onRefused?: (reason: ReadOnlyError | DatabaseSettingError) => void
  /** Called when a query was not answered within `query_timeout`. */
  onOverdue?: () => void
}

export const CONNECT_MS = 5_000
const STATEMENT_MS = 5_000
/** Added to the limit of a statement, for a server that never answers. */
const ANSWER_MARGIN_MS = 3_000

/**
 * The configuration of a session, with a limit for each way of waiting. No parameter of the URL changes a limit.
 *
 * @param options `url` names one host, as `hostUrls` writes it, without parameters about TLS
 * @throws DatabaseSettingError when the URL cannot be read
 */
export function sessionConfig(options: SessionOptions, lookup: LookupFunction = dns.lookup): SessionConfig {
  const { url, applicationName, idleInTransactionMs = 10_000, statementMs = STATEMENT_MS } = options
  const { sandbox, standbyRequired } = options
  return {
    ...parametersOf(url),
    stream: () => new LookupSocket(lookup),
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    query_timeout: statementMs > 0 ? statementMs + ANSWER_MARGIN_MS : 0,
    limits: { statementMs, idleInTransactionMs, sandbox, standbyRequired },
  }
}

/** The allowed parameters only. Others are options of pg's client and pool, with which a URL could remove a limit. */
function parametersOf(url: string) {
  try {
    const { host, port, user, password, database, options } = parseIntoClientConfig(url)
    return { host, port, user, password, database, options }
  } catch (error) {
    throw new DatabaseSettingError(`DATABASE_URL cannot be used: ${redactedErrorMessage(error)}`)
  }
}

/** A socket that finds the address of a name with `lookup`. pg passes no look-up to its socket. */
class LookupSocket extends Socket {
  readonly #lookup: LookupFunction

  constructor(lookup: LookupFunction) {
    super()
    this.#lookup = lookup
  }

  // biome-ignore lint/suspicious/noExplicitAny: net declares seven signatures. pg calls those with a path, or a port and a host.
  override connect(...parameters: any[]): this {
    const [port, host] = parameters
    const options = typeof host === 'string' ? [{ port, host, lookup: this.#lookup }] : parameters
    return Reflect.apply(super.connect, this, options)
  }
}

/**
 * A look-up that asks once for all callers that want the same name at the same time. Node has two threads for look-ups,
 * and a look-up goes on after its connection attempt has ended. A name whose server does not answer would soon occupy
 * both, and no other host could be reached.
 */
export function createSharedLookup(): LookupFunction {
  type Callback = Parameters<LookupFunction>[2]
  const waiting = new Map<string, Callback[]>()
  return (name, options, callback) => {
    const key = `${name} ${JSON.stringify(options)}`
    const earlier = waiting.get(key)
    if (earlier) return void earlier.push(callback)
    const callbacks = [callback]
    waiting.set(key, callbacks)
    dns.lookup(name, options, (...answer) => {
      waiting.delete(key)
      for (const each of callbacks) each(...answer)
    })
  }
}

/** The parameters of a URL, and those within its `options`, that have no effect because each session sets them itself. */
export function ineffectiveParameters(url: string): string[] {
  const [, ...query] = url.split('?')
  const parameters = new URLSearchParams(query.join('?'))
  const options = [...(parameters.get('options') ?? '').matchAll(/(?:^|\s)(?:-c\s*|--)([\w-]+)\s*=/g)]
  const given = [...parameters.keys(), ...options.map(([, name = '']) => name.replaceAll('-', '_'))]
  return [...new Set(given.map((name) => name.toLowerCase()))].filter((name) => INEFFECTIVE.has(name))
}

// `migrate` reads from a session's application_name which schema its service knows.
const INEFFECTIVE = new Set([...SET_BY_SESSION, 'query_timeout', 'application_name'])
