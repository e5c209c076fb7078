import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { defined } from '@cashflow/async'
import { freePorts } from '@cashflow/dev-stack'
import {
  eventually,
  fetchLibfaketime,
  fetchPrometheus,
  query as queryOnce,
  startRabbitmqCluster,
  startReplicatedPostgres,
} from '@cashflow/testing'
import { startAlertWatch } from './alert-watch.ts'
import { createDuplicator } from './duplicator.ts'
import type { RowCounts } from './facts.ts'
import { type Links, startLinks } from './links.ts'
import { createMerchants, KEY_PEPPER } from './merchants.ts'
import { createObserver } from './observer.ts'
import { startProvider } from './provider.ts'
import { createRandom } from './random.ts'
import { createService, type ServiceRole } from './service.ts'
import { COUNT_UNDELIVERED } from './webhook-backlog.ts'
import { createWebhookEndpoints } from './webhook-endpoints.ts'

/** The running system, as faults and checks use it. */
export type System = Awaited<ReturnType<typeof startSystem>>

/** Equipment that only some faults need. A machine may lack it. */
export type Need = 'cluster' | 'small disk' | 'libfaketime'

export interface SystemOptions {
  /** An empty folder, for the data of the servers and for logs. */
  dir: string
  seed: number
  sizes: Readonly<Record<ServiceRole, number>>
  /** The equipment that the scheduled faults need. */
  needs: ReadonlySet<Need>
  /** Arguments of Node for the processes of a role, such as those of a broken build. */
  nodeArguments?: Partial<Readonly<Record<ServiceRole, readonly string[]>>>
  /** Starts a Prometheus that scrapes the services and evaluates the alert rules. Default: false. */
  prometheus?: boolean
  say: (line: string) => void
}

const LOGS = 'logs'
/** Longer than PostgreSQL is unavailable in any fault, also on a slow machine. */
const QUERY_MS = 120_000
const DISK_MB = 1_024
const POSTGRES_SETTINGS = { track_commit_timestamp: 'on', max_connections: '100', max_wal_size: '256MB' }

const SETTINGS = {
  APP_ENV: 'production',
  LOG_LEVEL: 'info',
  SANDBOX: 'yes',
  AUTH: 'api-key',
  KEY_PEPPER,
  // Above what the run sends, so that no request gets a 429. Requests are still counted as with any limit.
  RATE_LIMIT: '100000',
  SECRETS_KEY: 'the-secrets-of-a-chaos-run-are-sealed-with-this',
  // The receivers are on this machine.
  WEBHOOK_ALLOW_PRIVATE: 'yes',
  PROVIDER: 'http',
  PROVIDER_DEADLINE_MS: '3000',
  PROVIDER_OPEN_MS: '1000',
  REDRIVE_AFTER_MS: '10000',
  RECONCILE_INTERVAL_MS: '500',
}

/** Starts servers, provider and services, each on its own ports. Resolves when the APIs answer. */
export async function startSystem(options: SystemOptions) {
  const { dir, seed, sizes, needs, say } = options
  const brokerNodes = needs.has('cluster') ? 3 : 1
  await using unfinished = new AsyncDisposableStack()
  const kept = async <Started extends { stop(): Promise<unknown> }>(starting: Promise<Started>): Promise<Started> =>
    unfinished.adopt(await starting, async (started) => void (await started.stop()))
  await mkdir(join(dir, LOGS), { recursive: true })
  const brokerDir = join(dir, 'rabbitmq')
  unfinished.defer(() => rm(brokerDir, { recursive: true, force: true }))
  say(`starting PostgreSQL with a standby, and RabbitMQ on ${brokerNodes} node${brokerNodes > 1 ? 's' : ''}`)
  const servers = [
    kept(startReplicatedPostgres({ settings: POSTGRES_SETTINGS, ...(needs.has('small disk') && { diskMb: DISK_MB }) })),
    kept(startRabbitmqCluster({ dir: brokerDir, size: brokerNodes, log: say })),
    kept(startProvider(createRandom(seed))),
  ] as const
  await Promise.allSettled(servers) // Otherwise a server that starts late would outlive `stop`.
  const [postgres, broker, provider] = await Promise.all(servers)
  const brokerUrls = broker.nodes.map(({ url }) => url)
  const links = await kept(startLinks(postgres.url, brokerUrls))
  const observer = createObserver(broker)
  await observer.start()
  unfinished.defer(() => observer.stop())
  await observer.caughtUp() // Its queue is bound before a relay publishes.
  const duplicator = await kept(createDuplicator(brokerUrls))

  const ports = await freePorts(2 * sizes.api + sizes.relay + sizes.worker + sizes.webhooks)
  const take = (role: ServiceRole) => ports.splice(0, sizes[role])
  const apiPorts = take('api')
  // A process that is started again keeps its port, so that Prometheus finds it.
  const adminPorts = { api: take('api'), relay: take('relay'), worker: take('worker'), webhooks: take('webhooks') }
  const services = createServices(options, links, { PROVIDER_URL: provider.url }, { apiPorts, adminPorts })
  const all = Object.values(services).flat()
  unfinished.defer(async () => void (await Promise.all(all.map((service) => service.stop()))))
  say(`starting ${all.map(({ name }) => name).join(', ')}`)
  await Promise.all(all.map((service) => service.start()))
  const apiUrls = apiPorts.map(localUrl)
  await eventually(() => Promise.all(apiUrls.map(expectHealthy)), { timeoutMs: 60_000 })

  const alerts = options.prometheus ? await kept(watchAlerts(dir, adminPorts)) : undefined
  const merchants = await createMerchants(postgres)
  const endpoints = await kept(
    createWebhookEndpoints({ apiUrls, merchants: merchants.all, random: createRandom(seed + 1) }),
  )

  /** Runs one statement on the primary, as soon as the primary accepts it. It may run twice. */
  const query = <Row extends object>(text: string): Promise<Row[]> =>
    eventually(() => queryOnce(postgres.url, text, { connectionTimeoutMillis: 5_000 }), { timeoutMs: QUERY_MS })
  const libfaketime = needs.has('libfaketime') ? await fetchLibfaketime() : undefined
  const started = unfinished.move()
  return {
    apiUrls,
    services,
    postgres,
    broker,
    links,
    provider,
    merchants,
    endpoints,
    observer,
    duplicator,
    /** Undefined without `prometheus`. */
    alerts,
    /** Path of the library. Undefined on a machine that cannot have it. */
    libfaketime,
    query,
    countRows: () => countRows(query),
    stop: () => started.disposeAsync(),
  }
}

async function watchAlerts(dir: string, adminPorts: Readonly<Record<ServiceRole, readonly number[]>>) {
  const adminUrls = {
    api: adminPorts.api.map(localUrl),
    relay: adminPorts.relay.map(localUrl),
    worker: adminPorts.worker.map(localUrl),
    webhooks: adminPorts.webhooks.map(localUrl),
  }
  const programs = await fetchPrometheus()
  return await startAlertWatch({ program: defined(programs, 'Prometheus').prometheus, dir, adminUrls })
}

function createServices(
  { dir, sizes, nodeArguments }: SystemOptions,
  links: Links,
  env: Readonly<Record<string, string>>,
  {
    apiPorts,
    adminPorts,
  }: { apiPorts: readonly number[]; adminPorts: Readonly<Record<ServiceRole, readonly number[]>> },
) {
  const create = (role: ServiceRole) =>
    Array.from({ length: sizes[role] }, (_, index) => {
      const name = `${role}-${index + 1}`
      return createService({
        role,
        name,
        nodeArguments: nodeArguments?.[role] ?? [],
        logFile: join(dir, LOGS, `${name}.log`),
        env: {
          ...SETTINGS,
          DATABASE_URL: links.database.urls(role),
          RABBITMQ_URL: links.broker.urls(role),
          PORT: String(apiPorts[index]),
          ADMIN_PORT: String(adminPorts[role][index]),
          ...env,
        },
      })
    })
  return { api: create('api'), relay: create('relay'), worker: create('worker'), webhooks: create('webhooks') }
}

function localUrl(port: number): string {
  return `http://127.0.0.1:${port}`
}

async function expectHealthy(apiUrl: string): Promise<void> {
  const { status } = await fetch(`${apiUrl}/health`)
  if (status !== 200) throw new Error(`${apiUrl} answers ${status}`)
}

async function countRows(query: (text: string) => Promise<RowCounts[]>): Promise<RowCounts> {
  const [rows] = await query(`
    select (select count(*)::int from payments where status = 'PENDING' and parked_at is null) as pending,
      (select count(*)::int from outbox_messages) as outbox, (select count(*)::int from outbox_scheduled) as scheduled,
      (${COUNT_UNDELIVERED}) as webhooks`)
  return defined(rows, 'row of counts')
}
