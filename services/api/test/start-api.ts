import {
  createDatabase,
  createListener,
  createSettledNotifier,
  databaseComponent,
  deleteIdleRateLimits,
  findPayments,
  findSettled,
  readCursorSecret,
  reportUse,
  SETTLED_CHANNEL,
  SETTLED_NOTIFY_FAILS,
  type Tables,
} from '@cashflow/db'
import { createNotifier } from '@cashflow/outbox'
import { type Component, createCondition, type Logger } from '@cashflow/runtime'
import { createTestDatabase, eventually, startTcpProxy, type TcpProxy, type TestDatabase } from '@cashflow/testing'
import { createSecretBox, parseSealingKeys } from '@cashflow/webhook-sender'
import express, { type Express, type RequestHandler } from 'express'
import type { Kysely, KyselyPlugin } from 'kysely'
import supertest, { type Agent } from 'supertest'
import { createApp } from '../src/app.ts'
import { createAuthentication } from '../src/auth/create-authentication.ts'
import type { Network } from '../src/client-address.ts'
import type { AuthSettings } from '../src/config.ts'
import { createCursors } from '../src/cursor.ts'
import { type HttpComponent, httpComponent } from '../src/http-component.ts'
import { CONNECTIONS_MAX } from '../src/limits.ts'
import { createPaymentWriter } from '../src/payments/create-payment.ts'
import { createWaits, type Waits } from '../src/payments/waits.ts'
import { createQueues, type Queues } from '../src/queues.ts'
import { createRateLimiter } from '../src/rate-limit/rate-limiter.ts'
import type { WebhookSettings } from '../src/webhooks/require-secrets.ts'

export interface ApiUnderTest extends Queues {
  app: Express
  http: HttpComponent
  /** Sends requests to the API. */
  agent: Agent
  /** Sessions with its database that do not pass the proxy. */
  db: Kysely<Tables>
  /** The proxy between the API and PostgreSQL. */
  proxy: TcpProxy
  keyUses: Component
  /** Number of requests that have passed authentication. */
  admitted: { readonly count: number }
  waits: Waits
  /** Statements about payments that requests wait for, once they are answered, and the names in those of `find`. */
  finds: { find: number; findSettled: number; names: number }
  /** Counts of the queries for /health: since the start, now, and at most at the same time. */
  healthQueries: { total: number; running: number; runningMax: number }
  logs: { level: string; message: string; [field: string]: unknown }[]
  stop(): Promise<void>
}

export interface StartOptions {
  writesMax?: number
  /** Requests of each queue at the same time. Default: as in production. */
  runningMax?: number
  queueMax?: number
  waitMaxMs?: number
  headersMs?: number
  /** Time after which a silent connection is closed. */
  unreadMs?: number
  waitsMax?: number
  connectionsMax?: number
  /** Whether the API listens for settled payments. Default: true. */
  listens?: boolean
  /** Whether the API finds settled payments without notifications too. Default: true. */
  polls?: boolean
  /** Default: true. */
  sandbox?: boolean
  trustProxy?: readonly Network[]
  /** Requests a second. Default: not limited. */
  rateLimit?: number
  simulations?: ReadonlySet<string>
  /** Default: any address may be an endpoint's. Null: as without SECRETS_KEY. */
  webhooks?: WebhookSettings | null
  /** Default: no authentication. */
  auth?: AuthSettings
  /** Default: a new database. */
  given?: TestDatabase
}

/** Settings of webhooks, with the key that seals their secrets. */
export const WEBHOOKS: WebhookSettings = {
  box: createSecretBox(parseSealingKeys('s'.repeat(32))),
  policy: { allowPrivate: true },
}

/** Starts the whole API on a free port. */
export async function startApi(options: StartOptions = {}): Promise<ApiUnderTest> {
  const {
    runningMax,
    writesMax = runningMax,
    queueMax = 1_000,
    waitMaxMs = 60_000,
    headersMs,
    unreadMs,
    connectionsMax,
    given,
  } = options
  const { waitsMax = 3_000, listens = true, polls = true, sandbox = true } = options
  const { trustProxy = [], rateLimit = 0, simulations, auth = { kind: 'none' } } = options
  const webhooks = options.webhooks === null ? undefined : (options.webhooks ?? WEBHOOKS)
  const database = given ?? (await createTestDatabase())
  const proxy = await startTcpProxy(database.url)
  const logs: ApiUnderTest['logs'] = []
  const write = (level: string) => (message: string, fields?: object) => void logs.push({ level, message, ...fields })
  const logger: Logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  const open = (url: string) => createDatabase({ url, applicationName: 'api-test', poolMax: CONNECTIONS_MAX, logger })
  const [db, proxied] = [open(database.url), open(proxy.url)]
  const notifier = createNotifier(proxied)
  const settledNotifier = createSettledNotifier(proxied, createCondition(logger, SETTLED_NOTIFY_FAILS))
  const settled = (paymentId: string) => settledNotifier.notify(paymentId)
  const finds = { find: 0, findSettled: 0, names: 0 }
  const waits = createWaits({
    async find(names) {
      const found = await findPayments(proxied, names)
      finds.find += 1
      finds.names += names.length
      return found
    },
    findSettled(names) {
      finds.findSettled += 1
      return polls ? findSettled(proxied, names) : Promise.resolve([])
    },
    waitsMax,
    unseenMax: queueMax,
    logger,
  })
  const listener = createListener({
    ...{ db: proxied, service: 'api', channel: SETTLED_CHANNEL, onNotify: waits.onNotify, logger },
    otherwise: 'requests that wait for a payment find it a second later',
  })
  const writer = createPaymentWriter({ db: proxied, notifier, redriveAfterMs: 60_000, logger })
  const queues = createQueues({
    ...{ queueMax, waitMaxMs, logger },
    max: { writes: writesMax, reads: runningMax, lists: runningMax, changes: runningMax },
  })
  const cursors = createCursors(() => readCursorSecret(proxied))
  const healthQueries = { total: 0, running: 0, runningMax: 0 }
  const rateLimiter = createRateLimiter({
    limit: rateLimit,
    report: (uses, bucket) => reportUse(proxied, uses, bucket),
    deleteIdle: () => deleteIdleRateLimits(proxied),
    logger,
  })
  const counted = proxied.withPlugin(counting(healthQueries))
  const { authenticate, keyUses } = createAuthentication({ auth, db: proxied, sandbox: true, logger })
  const admitted = { count: 0 }
  const countAdmitted: RequestHandler = (_req, _res, next) => {
    admitted.count += 1
    next()
  }
  const app = createApp({
    authenticate: express.Router().use(authenticate, countAdmitted),
    ...{ ...queues, db: counted, writer, cursors, waits, settled, notify: notifier.notify },
    ...{ rateLimiter, trustProxy, sandbox, simulations, webhooks, logger },
  })
  const http = httpComponent(app, {
    host: '127.0.0.1',
    port: 0,
    logger,
    ...(headersMs !== undefined && { headersMs }),
    ...(unreadMs !== undefined && { unreadMs }),
    ...(connectionsMax !== undefined && { connectionsMax }),
  })
  const parts = [databaseComponent(proxied, logger), keyUses, rateLimiter, http, waits]
  if (listens) parts.push(listener)
  for (const component of parts) await component.start(new AbortController().signal)
  // A notification before LISTEN is in force is lost. Without polls, nothing else would find what it tells.
  if (listens && !polls)
    await eventually(() => {
      if (!listener.isListening) throw new Error('the api does not listen yet')
    })
  logs.length = 0 // Tests look at lines about their requests.
  return {
    app,
    http,
    ...queues,
    agent: supertest.agent(http.url),
    db,
    proxy,
    keyUses,
    admitted,
    healthQueries,
    logs,
    waits,
    finds,
    async stop() {
      await listener.stop()
      await waits.stop()
      await http.stop()
      await rateLimiter.stop()
      await keyUses.stop()
      await Promise.all([db.destroy(), proxied.destroy()])
      await proxy.stop()
      await database.drop()
    },
  }
}

function counting(counts: ApiUnderTest['healthQueries']): KyselyPlugin {
  const mine = new WeakSet<object>()
  return {
    transformQuery({ node, queryId }) {
      if (node.kind !== 'SelectQueryNode' || node.from) return node // Only the query for /health reads no table.
      mine.add(queryId)
      counts.total += 1
      counts.running += 1
      counts.runningMax = Math.max(counts.runningMax, counts.running)
      return node
    },
    async transformResult({ result, queryId }) {
      if (mine.has(queryId)) counts.running -= 1
      return result
    },
  }
}
