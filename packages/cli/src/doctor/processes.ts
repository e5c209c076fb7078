import type { Database } from '@cashflow/db'
import {
  endText,
  hasEnabledEndpoint,
  isGone,
  listInstances,
  queueDepths,
  readServer,
  readWebhooks,
  replacedOf,
  replacedText,
  type SeenInstance,
} from '@cashflow/db/operator'
import { ageText } from '@cashflow/runtime'
import { type Line, lineOf, ok, warning, wrong } from './line.ts'

const ROLES = ['api', 'relay', 'worker', 'webhooks'] as const
/** Sessions that a process opens at most; a relay with the default of RELAY_PASSES. */
const SESSIONS_MAX = { api: 26, relay: 9, worker: 13, webhooks: 11 } as const
/**
 * A process makes its id soon after its start. Times from the start to the id that are not ok, in milliseconds. A machine
 * that is busy starts a process slowly, and its clock then seems to be ahead.
 */
const [BEHIND_MS, AHEAD_MS] = [2_000, 60_000]
/** Time after its start in which a relay looks at its queue, in milliseconds. */
const FIRST_LOOK_MS = 30_000

/** Checks what the processes write into their rows. */
export async function processLines(db: Database): Promise<Line[]> {
  const instances: SeenInstance[] = []
  const read = await lineOf('processes', async () => {
    instances.push(...(await listInstances(db)))
    // A table that cannot be read is a finding of its own.
    const sends = await readWebhooks(db).then(hasEnabledEndpoint, () => false)
    return runningLine(instances, sends)
  })
  const running = instances.filter((instance) => !isGone(instance))
  const sessions = await lineOf('sessions', () => sessionsLine(db, running))
  const gone = goneLines(instances)
  if (running.length === 0) return [read, ...gone, sessions]
  return [read, ...gone, versionsLine(running), clocksLine(running), sessions, queuesLine(running)]
}

/** @param sends whether an endpoint is enabled, so that webhooks have to be sent */
function runningLine(instances: readonly SeenInstance[], sends: boolean): Line {
  const running = instances.filter((instance) => !isGone(instance))
  const countOf = (role: string) => running.filter((instance) => instance.role === role).length
  const shown = ROLES.filter((role) => role !== 'webhooks' || sends || countOf(role) > 0)
  const found = shown.map((role) => `${countOf(role)} ${role}`).join(', ')
  const missing = shown.filter((role) => countOf(role) === 0)
  if (missing.length > 0) return wrong('processes', `${found} run. Start at least one ${missing.join(', one ')}.`)
  return ok('processes', `${found} run`)
}

/** One line for each process that did not stop cleanly. */
function goneLines(instances: readonly SeenInstance[]): Line[] {
  const replaced = replacedOf(instances)
  return instances.filter(isGone).map((gone) => {
    const check = `${gone.role} gone or frozen`
    if (replaced.has(gone)) return warning(check, replacedText(gone))
    const end = endText(gone, instances)
    return wrong(check, `${gone.instance} was not seen for ${ageText(gone.ageMs)}, and did not stop cleanly. ${end}`)
  })
}

function versionsLine(running: readonly SeenInstance[]): Line {
  const versions = [...new Set(running.map(({ version }) => version))]
  if (versions.length === 1) return ok('versions', `all processes have ${versions}`)
  return wrong('versions', `processes have ${versions.join(' and ')}. Finish the upgrade.`)
}

/** `id` has the time of the process's machine, `startedAt` that of PostgreSQL. */
function clocksLine(running: readonly SeenInstance[]): Line {
  const offsets = running.map((instance) => ({ instance, ms: timeOf(instance.id) - instance.startedAt.getTime() }))
  const far = offsets.filter(({ ms }) => ms < -BEHIND_MS || ms > AHEAD_MS)
  if (far.length === 0) return ok('clocks of processes', "agreed with PostgreSQL's when they started")
  const names = far.map(({ instance, ms }) => `${instance.role} ${instance.instance} by ${ageText(Math.abs(ms))}`)
  return wrong(
    'clocks of processes',
    `differed from PostgreSQL's when they started: ${names.join(', ')}. Synchronise their machines, such as with chrony.`,
  )
}

/** The time that a UUIDv7 contains (RFC 9562 §5.7), in milliseconds since 1970. */
const timeOf = (id: string) => Number.parseInt(id.replace('-', '').slice(0, 12), 16)

async function sessionsLine(db: Database, running: readonly SeenInstance[]): Promise<Line> {
  const { sessionsMax, sessions } = await readServer(db)
  const planned = running.reduce((sum, { role }) => sum + SESSIONS_MAX[role], 0)
  const needed = Math.max(planned, sessions.own) + sessions.others
  const found = `${sessions.own} of Cashflow, ${sessions.others} of others; up to ${needed} of ${sessionsMax} that PostgreSQL allows`
  if (needed <= sessionsMax) return ok('sessions', found)
  return wrong('sessions', `${found}. Raise max_connections to ${needed + 10} or more, or run fewer processes.`)
}

function queuesLine(running: readonly SeenInstance[]): Line {
  const relays = running.filter(({ role }) => role === 'relay')
  const blind = relays.filter(
    ({ queueDepths, startedAt, seenAt }) =>
      queueDepths === null && seenAt.getTime() - startedAt.getTime() > FIRST_LOOK_MS,
  )
  if (blind.length > 0)
    return wrong(
      'queues of relays',
      `${blind.map(({ instance }) => instance).join(', ')} see no queue: RabbitMQ is away, or MQ_QUEUE is missing there. See their logs.`,
    )
  const depths = Object.entries(queueDepths(relays)).map(([queue, ready]) => `${queue}: ${ready} ready`)
  return ok('queues of relays', depths.join(', ') || 'no relay has looked yet')
}
