import { describeExit } from '@cashflow/dev-stack'
import { eventually } from '@cashflow/testing'
import type { FiredAlert } from './alert-watch.ts'
import type { Plan } from './arguments.ts'
import { type Clients, createClients } from './clients.ts'
import { type Facts, readStored } from './facts.ts'
import type { Fault } from './fault.ts'
import { listAll, readEvents } from './final-requests.ts'
import { createFollowers, type Followers } from './followers.ts'
import { findIdle } from './idle-instances.ts'
import { checkInvariants, type Violation } from './invariants.ts'
import { listQueues, QUEUES } from './queues.ts'
import { type FaultRun, pauseUntil, runSchedule } from './run-schedule.ts'
import { planSchedule, type ScheduledFault } from './schedule.ts'
import type { Service } from './service.ts'
import { type System, type SystemOptions, startSystem } from './system.ts'
import { makeDue } from './webhook-backlog.ts'

export interface RunOptions extends Omit<SystemOptions, 'needs' | 'prometheus' | 'seed'>, Plan {
  /** Maximum time until the backlog is empty, in milliseconds. */
  readonly drainMaxMs?: number
  /** Ends the faults early. What has happened is checked all the same. */
  readonly signal?: AbortSignal
}

export interface Run {
  readonly schedule: readonly ScheduledFault[]
  readonly faultRuns: readonly FaultRun[]
  /** Faults that this machine cannot cause, with what is missing. */
  readonly leftOut: readonly string[]
  readonly facts: Facts
  readonly violations: readonly Violation[]
  /** When the load began and ended, in milliseconds since 1970. */
  readonly from: number
  readonly to: number
  /** Time from the end of faults and load until the backlog was empty, or was given up, in milliseconds. */
  readonly drainMs: number
  /** Deliveries that waited for a retry in minutes or hours, and were made due by hand at the end. */
  readonly madeDue: number
  readonly errors: Readonly<Record<string, number>>
  /** The alerts that fired from the beginning of the load until the backlog was empty. Undefined without `prometheus`. */
  readonly alerts?: readonly FiredAlert[] | undefined
}

/** Longer than any lease, any redrive, and the longest backoff of a retry, 256 seconds. */
const DRAIN_MAX_MS = 600_000
const DRAIN_POLL_MS = 500

/** Runs a system under load and faults, lets it settle, and checks from outside what it did. */
export async function runChaos(options: RunOptions): Promise<Run> {
  const { faults, say } = options
  const durationMs = options.minutes * 60_000
  const needs = new Set(faults.flatMap((fault) => fault.needs ?? []))
  const system = await startSystem({ ...options, needs })
  const { apiUrls, merchants } = system
  const clients = createClients({ ...options, apiUrls, merchants: merchants.all, count: options.clients })
  const followers = createFollowers({ apiUrls, merchants: merchants.all, seed: options.seed })
  try {
    const leftOut = faults.flatMap((fault) => missingFor(fault, system) ?? [])
    // Planned with all faults, so that a missing one does not change when the others run.
    const planned = planSchedule({ ...options, durationMs })
    const schedule = planned.filter(({ fault }) => missingFor(fault, system) === undefined)
    const signal = options.signal ?? new AbortController().signal
    const from = Date.now()
    clients.start()
    followers.start()
    const faultRuns = await runSchedule(schedule, system, { say, signal })
    if (faultRuns.every(({ failure }) => failure === undefined)) await pauseUntil(from + durationMs, signal)
    await clients.stop()
    const to = Date.now()
    say('faults and load have ended, waiting until the backlog is empty')
    const { drainMaxMs = DRAIN_MAX_MS } = options
    const { isDrained, madeDue } = await drained(system, drainMaxMs)
    const drainMs = Date.now() - to
    const alerts = await system.alerts?.fired(from, Date.now())
    const idle = isDrained ? await findIdle(system, clients) : []
    if (isDrained) await drained(system, drainMaxMs) // The checks have created payments too.
    const facts = await gather(system, { clients, followers }, { faultRuns, idle })
    const violations = checkInvariants(facts)
    const errors = errorsOf(system)
    return { schedule, faultRuns, leftOut, facts, violations, from, to, drainMs, madeDue, errors, alerts }
  } finally {
    say('stopping everything')
    await Promise.allSettled([clients.stop(), followers.stop()])
    await system.stop()
  }
}

function missingFor({ name, needs }: Fault, { libfaketime, postgres }: System): string | undefined {
  if (needs === 'libfaketime' && !libfaketime) return `${name}: libfaketime is missing`
  if (needs === 'small disk' && !postgres.hasSmallDisk) return `${name}: ${needs} needs root, to mount a tmpfs`
  return undefined
}

/** Waits until the backlog is empty. `isDrained` is false if it was not empty in time. */
async function drained(system: System, timeoutMs: number): Promise<{ isDrained: boolean; madeDue: number }> {
  let madeDue = 0
  const drain = async () => {
    // A question to RabbitMQ is expensive, so PostgreSQL is asked first.
    const counts = await system.countRows()
    if (counts.webhooks > 0) madeDue += await makeDue(system.query)
    if (sum(counts) > 0) throw new Error('PostgreSQL has unfinished rows')
    if (sum(await depths(system)) > 0) throw new Error('RabbitMQ has messages')
    return true
  }
  const isDrained = await eventually(drain, { timeoutMs, intervalMs: DRAIN_POLL_MS }).catch(() => false)
  return { isDrained, madeDue }
}

/** Counts the messages by queue. @throws Error when one of our queues is missing, or has no leader */
async function depths({ broker }: System): Promise<Record<string, number>> {
  const states = new Map((await listQueues(broker)).map(({ name, messages }) => [name, messages]))
  const missing = QUEUES.filter((name) => !states.has(name))
  if (missing.length > 0) throw new Error(`no queue ${missing.join(', ')}`)
  return Object.fromEntries(states)
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

/** Collects the facts after the services have ended. Their unfinished deliveries are in the queue again then. */
async function gather(
  system: System,
  { clients, followers }: { clients: Clients; followers: Followers },
  { faultRuns, idle }: { faultRuns: readonly FaultRun[]; idle: readonly string[] },
): Promise<Facts> {
  const { postgres, provider, observer, services, apiUrls, merchants, endpoints, countRows } = system
  await clients.askAll()
  const lists = await listAll({ apiUrls, merchants: merchants.all })
  const shownEvents = await readEvents({ apiUrls, merchants: merchants.all })
  await followers.finish()
  const exits = (await Promise.all(Object.values(services).flat().map(finish))).flat()
  const unread: string[] = []
  const queues = await depths(system).catch((error: Error) => {
    unread.push(`all queues have leaders: ${error.message}`)
    return {}
  })
  return {
    ...(await readStored(postgres.url)),
    backlog: { ...(await countRows()), queues },
    paymentRequests: clients.paymentRequests,
    keys: merchants.keys,
    lists,
    feeds: followers.feeds,
    endpoints: endpoints.all,
    shownEvents,
    apis: apiUrls.length,
    requests: provider.requests,
    charges: provider.charges,
    responses: provider.responses,
    sightings: [...observer.sightings.values()],
    unobserved: observer.unobserved,
    refusals: services.relay.flatMap(({ refusals }) => refusals),
    failovers: faultRuns
      .filter(({ fault }) => fault === 'postgres-failover')
      .map(({ from, recoveredAt: to }) => ({ from, to })),
    faultsLeft: faultRuns.flatMap(({ fault, failure }) => (failure === undefined ? [] : `${fault}: ${failure}`)),
    idle: [...idle, ...unread],
    exits,
  }
}

/** Stops a service after the last fault. Returns its unexpected ends: those of the run, and that of this stop. */
async function finish({ name, stop, exits }: Service): Promise<string[]> {
  const exit = await stop()
  return exit?.code === 1 ? [...exits, `${name} ended without a fault (${describeExit(exit)})`] : [...exits]
}

function errorsOf({ services }: System): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { role, errors } of Object.values(services).flat())
    for (const [message, count] of errors) {
      const key = `${role}: ${message}`
      counts[key] = (counts[key] ?? 0) + count
    }
  return counts
}
