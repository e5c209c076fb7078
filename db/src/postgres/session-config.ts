import { redactedErrorMessage } from '@cashflow/runtime'
import type pg from 'pg'
import { parseIntoClientConfig } from 'pg-connection-string'
import { DatabaseSettingError, type ReadOnlyError } from './errors.ts'
import { SET_BY_SESSION, type SessionLimits } from './session-settings.ts'
import { SharedLookupSocket } from './shared-lookup.ts'

export interface SessionOptions {
  url: string
  /** Shown in pg_stat_activity. */
  applicationName: string
  /** After how long the server ends a session that idles in a transaction. */
  idleInTransactionMs?: number
  /** How long one statement may run; 0 is forever, as migrations need it. */
  statementMs?: number
}

export interface SessionConfig extends pg.ClientConfig {
  /** Without them the session neither sets nor checks anything. */
  limits?: SessionLimits | undefined
  /** Called with the reason when a session is refused. The caller of `connect` gets it as well. */
  onRefused?: (reason: ReadOnlyError | DatabaseSettingError) => void
  /** Told when the answer to a statement, or to a COMMIT, did not come within `query_timeout`. */
  onOverdue?: () => void
}

export const CONNECT_MS = 5_000
const STATEMENT_MS = 5_000
// On top of the server's own limit: for the server that never answers.
const ANSWER_MARGIN_MS = 3_000

/**
 * How to connect, with a limit for each way of waiting. No parameter of the URL changes a limit.
 *
 * @param options `url` is one host's, as `hostUrls` writes it
 * @throws DatabaseSettingError when the URL cannot be read, or a file that it names
 */
export function sessionConfig(options: SessionOptions): SessionConfig {
  const { url, applicationName, idleInTransactionMs = 10_000, statementMs = STATEMENT_MS } = options
  const given = read(url)
  return {
    ...given,
    stream: () => new SharedLookupSocket(),
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    query_timeout: statementMs > 0 ? statementMs + ANSWER_MARGIN_MS : 0,
    limits: { statementMs, idleInTransactionMs },
  }
}

/** Only these: pg's client and pool have options by which a URL could turn off what we rely on. */
function read(url: string) {
  try {
    const { host, port, user, password, database, ssl, sslnegotiation, options } = parseIntoClientConfig(url)
    return { host, port, user, password, database, ssl, sslnegotiation, options }
  } catch (error) {
    throw new DatabaseSettingError(`DATABASE_URL cannot be used: ${redactedErrorMessage(error)}`)
  }
}

/** The parameters of a URL, and those within its `options`, that have no effect since each session sets them itself. */
export function ineffectiveParameters(url: string): string[] {
  const [, ...query] = url.split('?')
  const parameters = new URLSearchParams(query.join('?'))
  const options = [...(parameters.get('options') ?? '').matchAll(/(?:^|\s)(?:-c\s*|--)([\w-]+)\s*=/g)]
  const given = [...parameters.keys(), ...options.map(([, name = '']) => name.replaceAll('-', '_'))]
  return [...new Set(given.map((name) => name.toLowerCase()))].filter((name) => OURS.has(name))
}

// `migrate` tells by the name of a session which version its service has.
const OURS = new Set([...SET_BY_SESSION, 'query_timeout', 'application_name'])
