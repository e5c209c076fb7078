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
import { type BrokenBuild, nodeArgumentsOf } from '../../src/broken/broken-build.ts'
import { readStored } from '../../src/facts.ts'
import { checkInvariants } from '../../src/invariants.ts'
import { COMMIT_TIMES_KNOWN } from '../../src/rules/services.ts'
import type { Answer, Wish } from '../../src/wish.ts'
import { createTeller, type Teller } from './teller.ts'

export const PATIENTLY = { timeoutMs: 90_000 }

/** The real services, one of them perhaps as a broken build, and what faults are made with. */
export interface Stage {
  readonly pipeline: Pipeline
  readonly vhost: TestVhost
  readonly provider: Teller
  /** What the relay reaches RabbitMQ through. */
  readonly link: TcpProxy
  /** Of this round. */
  readonly workers: readonly ServiceProcess[]
  /** Ends the relays and workers there are, and starts one of each. All else is of this round from here on. */
  begin(build?: BrokenBuild): Promise<void>
  startWorker(): Promise<ServiceProcess>
  /** Creates payments, and returns the ids. */
  post(count: number): Promise<string[]>
  /** Waits until the outbox is empty. */
  published(): Promise<void>
  /** Waits until every message that was on its way has been handled. */
  arrived(): Promise<void>
  findings(): Promise<Findings>
  stop(): Promise<void>
}

export interface Findings {
  /** The invariants that are broken, each once. */
  readonly broken: readonly string[]
  readonly pending: number
  /** Transitions, as the history has them. */
  readonly ends: number
  /** How long the payment that should have been redriven first has waited for that; below 0: it is not due. */
  readonly overdueMs: number | null
  readonly redriven: number
}

/**
 * No queue was bound but the worker's, and what waits in it is looked at otherwise. This PostgreSQL keeps no times of
 * commits.
 */
const NOBODY_LOOKED = {
  backlog: { pending: 0, outbox: 0, scheduled: 0, queues: {} },
  sightings: [],
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
  // One at a time, in the order of the queue.
  WORKER_PREFETCH: '1',
  // Never by itself while a test runs: whatever is redriven was lost.
  REDRIVE_AFTER_MS: '3600000',
  RECONCILE_INTERVAL_MS: '100',
}

export async function createStage(): Promise<Stage> {
  const [database, vhost, server] = await Promise.all([createTestDatabase(), createTestVhost(), startScriptedServer()])
  const provider = createTeller(server)
  const link = await startTcpProxy(vhost.url)
  const settings = { ...SETTINGS, PROVIDER_URL: server.url }
  const pipeline = await startPipeline({ api: 1, relay: 0, worker: 0 }, settings, { database, vhost })
  const { db, processes } = pipeline
  let wishes: Wish[] = []
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
      // As if it were later: what waits for its time need not be waited for.
      await db.query('update outbox_scheduled set due_at = now() where due_at > now()')
      const { rows } = await db.query(
        'select (select count(*) from outbox_messages)::int + (select count(*) from outbox_scheduled)::int as left',
      )
      expect(rows[0].left).to.equal(0)
    }, PATIENTLY)

  /** As a client does that may have to ask again: then its payment may exist. */
  async function create(reference: string): Promise<string> {
    const answers: Answer[] = []
    wishes.push({ reference, amountMinor: 10_050, currency: 'USD', answers, views: [] })
    return await eventually(async () => {
      const { status, id: paymentId } = await pipeline
        .post(reference)
        .catch(() => ({ status: 'none', id: '' }) as const)
      answers.push({ at: Date.now(), status, ...(paymentId !== '' && { paymentId }) })
      expect(status).to.be.oneOf([201, 409])
      return paymentId
    }, PATIENTLY)
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
      wishes = []
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
      // The queue is in order, so whoever skips a settled payment's message has handled all that came before it.
      const { rows } = await db.query("select id from payments where status = 'SUCCESS' limit 1")
      const skips = () => lines(`Skipping payment ${rows[0].id} (already SUCCESS)`).length
      const before = skips()
      await eventually(() => pipeline.publish(rows[0].id), PATIENTLY)
      await eventually(() => expect(skips()).to.be.above(before), PATIENTLY)
    },
    async findings() {
      const stored = await readStored(database.url)
      const own = new Set(wishes.map(({ reference }) => reference))
      const payments = stored.payments.filter(({ reference }) => own.has(reference))
      const ids = new Set(payments.map(({ id }) => id))
      const events = stored.events.filter(({ paymentId }) => ids.has(paymentId))
      const violations = checkInvariants({
        ...{ ...NOBODY_LOOKED, payments, events, letters: stored.letters, wishes },
        unobserved: TOPICS.map((topic) => ({ topic, from: 0, to: 0, waiting: ids })),
        requests: provider.requests.filter(({ key }) => ids.has(key)),
        charges: provider.charges.filter(({ key }) => ids.has(key)),
        told: provider.told,
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
