import { createDatabase, databaseComponent, type Tables } from '@cashflow/db'
import { createNotifier } from '@cashflow/outbox'
import type { Logger } from '@cashflow/runtime'
import { createTestDatabase, startTcpProxy, type TcpProxy, type TestDatabase } from '@cashflow/testing'
import type { Kysely, KyselyPlugin } from 'kysely'
import supertest, { type Agent } from 'supertest'
import { createApp } from '../src/app.ts'
import { type HttpComponent, httpComponent } from '../src/http-component.ts'
import { CONNECTIONS_MAX, READS_MAX, WRITES_MAX } from '../src/limits.ts'
import { createPaymentWriter } from '../src/payments/create-payment.ts'
import { createRequestQueue, type RequestQueue } from '../src/request-queue.ts'

export interface ApiUnderTest {
  http: HttpComponent
  /** Sends requests to the API. */
  agent: Agent
  writes: RequestQueue
  reads: RequestQueue
  /** Sessions with its database that do not pass the proxy. */
  db: Kysely<Tables>
  /** The proxy between the API and PostgreSQL. */
  proxy: TcpProxy
  /** Counts of the queries for /health: since the start, now, and at most at the same time. */
  healthQueries: { total: number; running: number; runningMax: number }
  logs: { level: string; message: string; [field: string]: unknown }[]
  stop(): Promise<void>
}

/** Starts the whole API on a free port, with a new database unless `given` is one. */
export async function startApi({
  writesMax = WRITES_MAX,
  queueMax = 1_000,
  waitMaxMs = 60_000,
  given = undefined as TestDatabase | undefined,
} = {}): Promise<ApiUnderTest> {
  const database = given ?? (await createTestDatabase())
  const proxy = await startTcpProxy(database.url)
  const logs: ApiUnderTest['logs'] = []
  const write = (level: string) => (message: string, fields?: object) => void logs.push({ level, message, ...fields })
  const logger: Logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  const open = (url: string) => createDatabase({ url, applicationName: 'api-test', poolMax: CONNECTIONS_MAX, logger })
  const [db, proxied] = [open(database.url), open(proxy.url)]
  const writer = createPaymentWriter({ db: proxied, notifier: createNotifier(proxied), redriveAfterMs: 60_000 })
  const writes = createRequestQueue({ name: 'writes', runningMax: writesMax, waitingMax: queueMax, waitMaxMs, logger })
  const reads = createRequestQueue({ name: 'reads', runningMax: READS_MAX, waitingMax: queueMax, waitMaxMs, logger })
  const healthQueries = { total: 0, running: 0, runningMax: 0 }
  const app = createApp({ db: proxied.withPlugin(counting(healthQueries)), writer, writes, reads, logger })
  const http = httpComponent(app, { host: '127.0.0.1', port: 0, logger })
  for (const component of [databaseComponent(proxied, logger), http])
    await component.start(new AbortController().signal)
  return {
    http,
    writes,
    reads,
    agent: supertest.agent(http.url),
    db,
    proxy,
    healthQueries,
    logs,
    async stop() {
      await http.stop()
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
