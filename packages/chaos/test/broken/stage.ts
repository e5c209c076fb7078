import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import {
  createTestDatabase,
  createTestVhost,
  eventually,
  type Pipeline,
  type Role,
  type ServiceProcess,
  startPipeline,
  startScriptedServer,
  startTcpProxy,
  type TcpProxy,
  type TestVhost,
} from '@cashflow/testing'
import { expect } from 'chai'
import { readStored } from '../../src/facts.ts'
import { checkInvariants } from '../../src/invariants.ts'
import type { Answer, PaymentRequest } from '../../src/payment-request.ts'
import { COMMIT_TIMES_KNOWN } from '../../src/rules/services.ts'
import { type BrokenBuild, nodeArgumentsOf } from './broken-builds.ts'
import { createScriptedProvider, type ScriptedProvider } from './scripted-provider.ts'

export const PATIENT = { timeoutMs: 90_000 }

/** The real services, one of which may be a broken build, and the means to cause faults. */
export interface Stage {
  readonly pipeline: Pipeline
  readonly vhost: TestVhost
  readonly provider: ScriptedProvider
  /** The relay's connection to RabbitMQ. */
  readonly link: TcpProxy
  /** The workers that were started since `begin`. */
  readonly workers: readonly ServiceProcess[]
  /** Ends all relays and workers, starts one of each, and forgets earlier payments. */
  begin(build?: BrokenBuild): Promise<void>
  startWorker(): Promise<ServiceProcess>
  /** Creates payments, and returns their ids. */
  post(count: number): Promise<string[]>
  /** Waits until the outbox is empty. */
  published(): Promise<void>
  /** Waits until every published message has been handled. */
  arrived(): Promise<void>
  findings(): Promise<Findings>
  stop(): Promise<void>
}

export interface Findings {
  /** The broken invariants, each once. */
  readonly broken: readonly string[]
  readonly pending: number
  /** Number of settlements in the history. */
  readonly ends: number
  /** How long the first redrive is overdue, in milliseconds. Below 0 when it is not due yet. */
  readonly overdueMs: number | null
  readonly redriven: number
}

/**
 * Facts that these tests do not observe: only the worker's queue is bound, and this PostgreSQL does not record the
 * times of commits.
 */
const NOT_OBSERVED = {
  backlog: { pending: 0, outbox: 0, scheduled: 0, webhooks: 0, queues: {} },
  sightings: [],
  keys: [],
  lists: [],
  feeds: [],
  endpoints: [],
  shownEvents: new Map(),
  deliveries: [],
  exits: [],
  refusals: [],
  idle: [],
  faultsLeft: [],
  failovers: [],
  apis: 0,
}

const TOPICS = ['payment.created', 'payment.succeeded', 'payment.failed']

const SETTINGS = {
  PROVIDER: 'http',
  PROVIDER_DEADLINE_MS: '60000',
  // One delivery at a time, in the order of the queue.
  WORKER_PREFETCH: '1',
  // Longer than a test, so that only a lost payment is redriven.
  REDRIVE_AFTER_MS: '3600000',
  RECONCILE_INTERVAL_MS: '100',
}

export async function createStage(): Promise<Stage> {
  const [database, vhost, server] = await Promise.all([createTestDatabase(), createTestVhost(), startScriptedServer()])
  const provider = createScriptedProvider(server)
  const link = await startTcpProxy(vhost.url)
  const settings = { ...SETTINGS, PROVIDER_URL: server.url }
  const pipeline = await startPipeline({ api: 1, relay: 0, worker: 0 }, settings, { database, vhost })
  const { db, processes } = pipeline
  let paymentRequests: PaymentRequest[] = []
  let round = 0
  let posted = 0
  let workersBefore = 0
  let broken: BrokenBuild | undefined

  const argumentsFor = (role: Role) => (broken?.service === role ? nodeArgumentsOf(broken) : [])
  const startWorker = () => pipeline.start('worker', {}, argumentsFor('worker'))
  const workers = () => processes.worker.slice(workersBefore)
  const lines = (message: string) => workers().flatMap(({ logs }) => logs.filter((line) => line.message === message))
  const published = () =>
    eventually(async () => {
      // Scheduled messages become due at once.
      await db.query('update outbox_scheduled set due_at = now() where due_at > now()')
      const { rows } = await db.query(
        'select (select count(*) from outbox_messages)::int + (select count(*) from outbox_scheduled)::int as left',
      )
      expect(rows[0].left).to.equal(0)
    }, PATIENT)

  /** Retries as a client does. Its payment may exist before the last answer. */
  async function create(reference: string): Promise<string> {
    const answers: Answer[] = []
    const money = { amountMinor: 10_050, currency: 'USD' }
    const nothing = { views: [], foreignViews: [], cancels: [], histories: [] }
    paymentRequests.push({ merchantId: DEFAULT_MERCHANT_ID, reference, ...money, answers, ...nothing })
    return await eventually(async () => {
      const { status, id: paymentId } = await pipeline
        .post(reference)
        .catch(() => ({ status: 'none', id: '' }) as const)
      answers.push({ at: Date.now(), status, ...(paymentId !== '' && { paymentId }) })
      expect(status).to.be.oneOf([201, 409])
      return paymentId
    }, PATIENT)
  }

  async function end(): Promise<void> {
    const all = [...processes.relay, ...processes.worker]
    for (const service of all) service.kill('SIGKILL')
    await Promise.all(all.map(({ exited }) => exited))
  }

  return {
    pipeline,
    vhost,
    provider,
    link,
    get workers() {
      return workers()
    },
    async begin(build) {
      await end()
      round += 1
      paymentRequests = []
      broken = build
      workersBefore = processes.worker.length
      await Promise.all([pipeline.start('relay', { RABBITMQ_URL: link.url }, argumentsFor('relay')), startWorker()])
    },
    startWorker,
    async post(count) {
      const names = Array.from({ length: count }, () => `round-${round}-${posted++}`)
      return await Promise.all(names.map(create))
    },
    published,
    async arrived() {
      await published()
      // The queue is in order: a worker that skips this message has handled all earlier ones.
      const { rows } = await db.query("select id from payments where status = 'SUCCESS' limit 1")
      const skips = () => lines(`Skipping payment ${rows[0].id} (already SUCCESS)`).length
      const before = skips()
      await eventually(() => pipeline.publish(rows[0].id), PATIENT)
      await eventually(() => expect(skips()).to.be.above(before), PATIENT)
    },
    async findings() {
      const stored = await readStored(database.url)
      const own = new Set(paymentRequests.map(({ reference }) => reference))
      const payments = stored.payments.filter(({ reference }) => own.has(reference))
      const ids = new Set(payments.map(({ id }) => id))
      const events = stored.events.filter(({ paymentId }) => ids.has(paymentId))
      const violations = checkInvariants({
        ...NOT_OBSERVED,
        payments,
        events,
        letters: stored.letters,
        paymentRequests,
        unobserved: TOPICS.map((topic) => ({ topic, from: 0, to: 0, waiting: ids })),
        requests: provider.requests.filter(({ key }) => ids.has(key)),
        charges: provider.charges.filter(({ key }) => ids.has(key)),
        responses: provider.responses,
      })
      const { rows } = await db.query(
        `select extract(epoch from clock_timestamp() - min(redrive_at))::float8 * 1000 as "overdueMs"
        from payments where id = any($1)`,
        [[...ids]],
      )
      return {
        broken: [...new Set(violations.map(({ rule }) => rule))].filter((rule) => rule !== COMMIT_TIMES_KNOWN),
        pending: payments.filter(({ status }) => status === 'PENDING').length,
        ends: events.filter(({ sequence }) => sequence > 1).length,
        overdueMs: rows[0].overdueMs,
        redriven: lines('overdue payments redriven').reduce((sum, line) => sum + Number(line.redriven), 0),
      }
    },
    async stop() {
      await end()
      await pipeline.stop()
      await Promise.all([server.close(), link.stop()])
    },
  }
}
