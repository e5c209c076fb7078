import { setTimeout as sleep } from 'node:timers/promises'
import type { RabbitmqCluster } from '@cashflow/dev-stack'
import { eventually } from '@cashflow/testing'
import { type Clients, createClients } from './clients.ts'
import { type Backlog, type Facts, readStored } from './facts.ts'
import type { Fault, Part } from './fault.ts'
import { checkInvariants, type Violation } from './invariants.ts'
import { listQueues } from './queues.ts'
import { createRandom } from './random.ts'
import { type Appointment, planSchedule } from './schedule.ts'
import { type System, type SystemOptions, startSystem } from './system.ts'

export interface RunOptions extends Omit<SystemOptions, 'needs'> {
  readonly durationMs: number
  readonly faults: readonly Fault[]
  readonly atOnce: number
  readonly restMs: readonly [min: number, max: number]
  readonly clients: number
  readonly perSecond: number
  /** Ends the faults early; what then has happened is checked all the same. */
  readonly signal?: AbortSignal
}

/** A fault as it was, in milliseconds since 1970. */
export interface Occurrence {
  readonly fault: string
  readonly from: number
  readonly healed: number
  /** It met nothing that it could have broken. */
  readonly noEffect?: boolean
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

/** Leases, retries with their backoff, and redrives are over by then. */
const DRAIN_MAX_MS = 240_000
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
    const from = Date.now()
    clients.start()
    const occurrences = await keep(schedule, system, options)
    await pauseUntil(from + options.durationMs, options.signal)
    await clients.stop()
    const to = Date.now()
    say('faults and load are over, waiting until all is settled')
    const backlog = await drained(system)
    const drainMs = Date.now() - to
    const facts = await gather(system, clients, backlog, occurrences)
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

/** Has each fault at its time, or as soon after as what it disturbs is free. */
async function keep(
  schedule: readonly Appointment[],
  system: System,
  { say, signal }: RunOptions,
): Promise<Occurrence[]> {
  const from = Date.now()
  const busy = new Map<Part, Promise<unknown>>()
  const occurrences: Occurrence[] = []
  const since = () => `${((Date.now() - from) / 1_000).toFixed(1).padStart(7)} s`

  async function have({ fault, lastsMs, seed }: Appointment): Promise<void> {
    say(`${since()}  ${fault.name}`)
    const began = Date.now()
    await fault.run(system, { random: createRandom(seed), over: () => pauseUntil(Date.now() + lastsMs, signal) })
    occurrences.push({ fault: fault.name, from: began, healed: Date.now() })
    say(`${since()}  ${fault.name} is over`)
  }

  for (const appointment of schedule) {
    await pauseUntil(from + appointment.atMs, signal)
    if (signal?.aborted) break
    const { disturbs } = appointment.fault
    const mine = Promise.all(disturbs.map((part) => busy.get(part))).then(() => have(appointment))
    mine.catch(() => {}) // Met below; until then it must not end the process.
    for (const part of disturbs) busy.set(part, mine)
  }
  await Promise.all(busy.values())
  return occurrences
}

async function pauseUntil(at: number, signal?: AbortSignal): Promise<void> {
  await sleep(Math.max(0, at - Date.now()), undefined, { ...(signal && { signal }) }).catch(() => {})
}

/** What is left when nothing is, or when the time for that is up. */
async function drained({ countRows, broker }: System): Promise<Backlog> {
  let backlog: Backlog | undefined
  const drain = async () => {
    const rows = await countRows()
    // Asking RabbitMQ is dear, so only when PostgreSQL has nothing more to say.
    if (sum(rows) > 0) throw new Error('PostgreSQL has rows that are on their way')
    backlog = { ...rows, queues: await depths(broker) }
    if (sum(backlog.queues) > 0) throw new Error('RabbitMQ has messages')
  }
  await eventually(drain, { timeoutMs: DRAIN_MAX_MS, intervalMs: DRAIN_POLL_MS }).catch(() => {})
  return backlog ?? { ...(await countRows()), queues: await depths(broker) }
}

async function depths(broker: RabbitmqCluster): Promise<Record<string, number>> {
  return Object.fromEntries((await listQueues(broker)).map(({ name, messages }) => [name, messages]))
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

async function gather(
  { postgres, provider, observer, services, apiUrls }: System,
  clients: Clients,
  backlog: Backlog,
  occurrences: readonly Occurrence[],
): Promise<Facts> {
  await clients.lookAtAll()
  return {
    ...(await readStored(postgres.url)),
    backlog,
    wishes: clients.wishes,
    apis: apiUrls.length,
    requests: provider.requests,
    charges: provider.charges,
    told: provider.told,
    sightings: [...observer.sightings.values()],
    unobserved: observer.unobserved,
    failovers: occurrences
      .filter(({ fault }) => fault === 'postgres-failover')
      .map(({ from, healed: to }) => ({ from, to })),
    exits: Object.values(services)
      .flat()
      .flatMap(({ exits }) => exits),
  }
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
