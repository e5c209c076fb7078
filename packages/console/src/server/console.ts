import type { IncomingMessage } from 'node:http'
import type { Pepper, Tables } from '@cashflow/db'
import { createSampler } from '@cashflow/db/operator'
import type { Component, Logger } from '@cashflow/runtime'
import express, { type Express, type RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import type { Me } from '../answers.ts'
import { requireHost } from './access/hosts.ts'
import { createLogin } from './access/login.ts'
import { createIsHttps, requireOwnPage } from './access/origin.ts'
import { requireOperate } from './access/require-operate.ts'
import { securityHeaders } from './access/security-headers.ts'
import { assetRoutes } from './assets.ts'
import { auditRoutes } from './audit.ts'
import { chartRoutes } from './charts.ts'
import { deadLetterRoutes } from './dead-letters.ts'
import { errorHandler, notFound } from './errors.ts'
import { createLive } from './live.ts'
import { merchantRoutes } from './merchants.ts'
import { createPace } from './pace.ts'
import { pauseRoutes } from './pauses.ts'
import { paymentRoutes } from './payments.ts'
import { sandboxRoutes } from './sandbox.ts'
import { webhookRoutes } from './webhooks.ts'

export interface AccessOptions {
  /** Names by which the console may be called, besides those of loopback: lower case, IPv6 in brackets, no port. */
  readonly hosts: readonly string[]
  /** A login token that is good for any number of logins, for as long as the process runs. */
  readonly token: string | undefined
  /** Of `KEY_PEPPER`. Without one, tokens and cookies are signed with a secret of the database. */
  readonly peppers: readonly [Pepper, ...Pepper[]] | undefined
  /** The client of a request, for the limit of wrong tokens. */
  readonly clientOf: (req: IncomingMessage) => string
  /** True if a trusted proxy sent the request. */
  readonly isProxy: (req: IncomingMessage) => boolean
}

export interface ConsoleOptions {
  readonly db: Kysely<Tables>
  readonly logger: Logger
  readonly sandbox: boolean
  /** Socket of the `npm start` that runs this api. Undefined if it was started otherwise. */
  readonly sandboxSocket: string | undefined
  readonly version: string
  readonly access: AccessOptions
}

/** An act on all dead letters that the page shows has their ids. */
const BODY_MAX = '64kb'

/** The console as a request listener, and what runs behind it. */
export function createConsole(options: ConsoleOptions): { app: Express; components: readonly Component[] } {
  const { db, logger, sandbox, access } = options
  const isHttps = createIsHttps(access.isProxy)
  const { routes, requireLogin } = createLogin({ ...access, db, isHttps, logger })
  const app = express()
  app.disable('x-powered-by').disable('etag').enable('case sensitive routing')
  app.use(securityHeaders)
  app.use('/api', noStore)
  app.use(requireHost(access.hosts), requireOwnPage(isHttps))
  app.use('/api', routes)
  // What stands here is answered after a login only.
  app.use('/api', requireLogin, requireOperate, express.json({ limit: BODY_MAX }))
  const live = createLive({ db, logger })
  app.get('/api/me', me(options))
  app.get('/api/live', live.handler)
  app.use('/api', createPace())
  app.use('/api', paymentRoutes(db), deadLetterRoutes({ db, logger }), pauseRoutes(db), auditRoutes(db))
  app.use('/api', chartRoutes(db), webhookRoutes(db), merchantRoutes({ db, sandbox, peppers: access.peppers }))
  if (options.sandboxSocket !== undefined) app.use('/api', sandboxRoutes(options.sandboxSocket, logger))
  app.use(assetRoutes(), notFound, errorHandler(logger))
  return { app, components: [createSampler({ db, logger }), live] }
}

const noStore: RequestHandler = (_req, res, next) => {
  res.set('Cache-Control', 'no-store')
  next()
}

function me({ sandbox, sandboxSocket, version }: ConsoleOptions): RequestHandler {
  const facts = { sandbox, sandbox_panel: sandboxSocket !== undefined, version }
  return (_req, res) => {
    const { name, role, expiresAt } = res.locals.operator
    res.json({ name, role, ...facts, expires_at: expiresAt.toISOString() } satisfies Me)
  }
}
