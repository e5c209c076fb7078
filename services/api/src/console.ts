import { createConsole } from '@cashflow/console'
import { createDatabase, databaseComponent, serviceSession } from '@cashflow/db'
import { type Certificates, type Component, type Logger, VERSION } from '@cashflow/runtime'
import { clientNetwork, createClientAddressOf, createIsProxy, type Network } from './client-address.ts'
import { defaultConnectionsMax } from './connections.ts'
import type { ConsoleSettings } from './console-settings.ts'
import { httpComponent } from './http-component.ts'

/** Sessions with PostgreSQL. They are not those of the API: operators who read take none from requests. */
const SESSIONS_MAX = 3
const CONNECTIONS_SHARE = 8

export interface ConsoleOptions {
  readonly console: ConsoleSettings
  readonly databaseUrl: string
  readonly sandbox: boolean
  readonly standbyRequired: boolean
  readonly trustProxy: readonly Network[]
  readonly certificates: { read(): Certificates } | undefined
  readonly logger: Logger
}

/** Number of connections that browsers may have. The API has as many fewer. */
export function consoleConnectionsMax(): number {
  return Math.floor(defaultConnectionsMax() / CONNECTIONS_SHARE)
}

/** The operators' console on a listener of its own, as components of the api. */
export function consoleParts(options: ConsoleOptions): readonly Component[] {
  const { databaseUrl, sandbox, standbyRequired, trustProxy, certificates, logger } = options
  const { host, port, hosts, token, sandboxSocket, peppers } = options.console
  const applicationName = serviceSession('api-console')
  const db = createDatabase({
    ...{ url: databaseUrl, applicationName, poolMax: SESSIONS_MAX, sandbox, standbyRequired, logger },
  })
  const clientAddressOf = createClientAddressOf(trustProxy)
  const clientOf: typeof clientAddressOf = (req) => clientNetwork(clientAddressOf(req))
  const access = { hosts, token, peppers, clientOf, isProxy: createIsProxy(trustProxy) }
  const { app, components } = createConsole({ db, logger, sandbox, sandboxSocket, version: VERSION, access })
  const http = httpComponent(app, {
    ...{ host, port, certificates, connectionsMax: consoleConnectionsMax(), logger },
    ...{ name: 'console', listening: 'console is listening' },
  })
  // Stopped in reverse order: `components` end the answers that last, and then `http` waits for all.
  return [databaseComponent(db, logger), http, ...components]
}
