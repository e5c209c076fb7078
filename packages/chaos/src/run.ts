import { describeExit } from '@cashflow/dev-stack'
import { eventually } from '@cashflow/testing'
import { type Clients, createClients } from './clients.ts'
import { type Facts, readStored } from './facts.ts'
import type { Fault } from './fault.ts'
import { findIdle } from './instances.ts'
import { checkInvariants, type Violation } from './invariants.ts'
import { keepAppointments, type Occurrence, pauseUntil } from './occurrences.ts'
import { listQueues, QUEUES } from './queues.ts'
import { type Appointment, planSchedule } from './schedule.ts'
import type { Service } from './service.ts'
import { type System, type SystemOptions, startSystem } from './system.ts'

export interface RunOptions extends Omit<SystemOptions, 'needs'> {
  readonly durationMs: number
  readonly faults: readonly Fault[]
  readonly atOnce: number
  readonly restMs: readonly [min: number, max: number]
  readonly clients: number
  readonly perSecond: number
  /** How long it may take until nothing is on its way any more. */
  readonly drainMaxMs?: number
  /** Ends the faults early; what then has happened is checked all the same. */
  readonly signal?: AbortSignal
}

export interface Run {
  readonly schedule: readonly Appointment[]
  readonly occurrences: readonly Occurrence[]
  /** Faults that this machine cannot have, with what is missing. */
  readonly leftOut: readonly string[]
  readonly facts: Facts
  readonly violations: readonly Violation[]
  /** When the load began and when it ended, in milliseconds since 1970. */
  readonly from: number
  readonly to: number
  /** From the end of faults and load until nothing was left on its way, or it was given up. */
  readonly drainMs: number
  readonly errors: Readonly<Record<string, number>>
}

/** Leases, redrives, and the longest backoff of a retry, 256 seconds, are over by then. */
const DRAIN_MAX_MS = 600_000
const DRAIN_POLL_MS = 500

/** Puts a system of its own under load and faults, lets it settle, and checks what it did from outside. */
export async function runChaos(options: RunOptions): Promise<Run> {
  const { faults, say } = options
  const needs = new Set(faults.flatMap((fault) => fault.needs ?? []))
  const system = await startSystem({ ...options, needs })
  const clients = createClients({ ...options, apiUrls: system.apiUrls, count: options.clients })
  try {
    const leftOut = faults.flatMap((fault) => missingFor(fault, system) ?? [])
    // Planned with all of them: what a machine lacks must not change when the others come.
    const schedule = planSchedule(options).filter(({ fault }) => missingFor(fault, system) === undefined)
    const signal = options.signal ?? new AbortController().signal
    const from = Date.now()
    clients.start()
    const occurrences = await keepAppointments(schedule, system, { say, signal })
    if (occurrences.every(({ failure }) => failure === undefined)) await pauseUntil(from + options.durationMs, signal)
    await clients.stop()
    const to = Date.now()
    say('faults and load are over, waiting until all is settled')
    const { drainMaxMs = DRAIN_MAX_MS } = options
    const isDrained = await drained(system, drainMaxMs)
    const drainMs = Date.now() - to
    const idle = isDrained ? await findIdle(system, clients) : []
    if (isDrained) await drained(system, drainMaxMs) // Of what that has made as well.
    const facts = await gather(system, clients, { occurrences, idle })
    const violations = checkInvariants(facts)
    return { schedule, occurrences, leftOut, facts, violations, from, to, drainMs, errors: errorsOf(system) }
  } finally {
    say('stopping everything')
    await clients.stop()
    await system.stop()
  }
}

function missingFor({ name, needs }: Fault, { libfaketime, postgres }: System): string | undefined {
  if (needs === 'libfaketime' && !libfaketime) return `${name}: libfaketime cannot be had here`
  if (needs === 'small disk' && !postgres.hasSmallDisk) return `${name}: ${needs} needs root, who may mount a tmpfs`
  return undefined
}

/** Whether nothing was on its way any more, in time. */
function drained(system: System, timeoutMs: number): Promise<boolean> {
  const drain = async () => {
    // Asking RabbitMQ is dear, so only when PostgreSQL has nothing more to say.
    if (sum(await system.countRows()) > 0) throw new Error('PostgreSQL has rows that are on their way')
    if (sum(await depths(system)) > 0) throw new Error('RabbitMQ has messages')
    return true
  }
  return eventually(drain, { timeoutMs, intervalMs: DRAIN_POLL_MS }).catch(() => false)
}

/** Messages by queue. @throws Error when one of our queues is missing, or has no leader */
async function depths({ broker }: System): Promise<Record<string, number>> {
  const states = new Map((await listQueues(broker)).map(({ name, messages }) => [name, messages]))
  const missing = QUEUES.filter((name) => !states.has(name))
  if (missing.length > 0) throw new Error(`no queue ${missing.join(', ')}`)
  return Object.fromEntries(states)
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

/** All that anybody knows, once the services have ended: what they had in hand waits in its queue again then. */
async function gather(
  system: System,
  clients: Clients,
  { occurrences, idle }: { occurrences: readonly Occurrence[]; idle: readonly string[] },
): Promise<Facts> {
  const { postgres, provider, observer, services, apiUrls, countRows } = system
  await clients.lookAtAll()
  const exits = (await Promise.all(Object.values(services).flat().map(finish))).flat()
  const unread: string[] = []
  const queues = await depths(system).catch((error: Error) => {
    unread.push(`all queues have leaders: ${error.message}`)
    return {}
  })
  return {
    ...(await readStored(postgres.url)),
    backlog: { ...(await countRows()), queues },
    wishes: clients.wishes,
    apis: apiUrls.length,
    requests: provider.requests,
    charges: provider.charges,
    told: provider.told,
    sightings: [...observer.sightings.values()],
    unobserved: observer.unobserved,
    refusals: services.relay.flatMap(({ refusals }) => refusals),
    failovers: occurrences
      .filter(({ fault }) => fault === 'postgres-failover')
      .map(({ from, healed: to }) => ({ from, to })),
    faultsLeft: occurrences.flatMap(({ fault, failure }) => (failure === undefined ? [] : `${fault}: ${failure}`)),
    idle: [...idle, ...unread],
    exits,
  }
}

/** Stops one for good, in good weather; how it ended, now or before, where that was not as it should. */
async function finish({ name, stop, exits }: Service): Promise<string[]> {
  const exit = await stop()
  return exit?.code === 1 ? [...exits, `${name} ended in good weather (${describeExit(exit)})`] : [...exits]
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
