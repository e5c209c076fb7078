import { defined } from '@cashflow/async'
import type { Fault } from '../../src/fault.ts'
import { FAULTS } from '../../src/faults/index.ts'
import * as faults from './faults.ts'

/** An alert that a fault causes. */
export interface ExpectedAlert {
  readonly name: string
  /** The value that one of its labels has. Default: any. */
  readonly of?: string
  /** Time from the beginning of the fault until it fires, in seconds. */
  readonly withinS: number
  /** False if its window is so long that it fires until the end of the run. Default: true. */
  readonly ends?: boolean
}

/** A fault, and exactly the alerts that it causes. */
export interface AlertCase {
  readonly fault: Pick<Fault, 'name' | 'run'>
  readonly alerts: readonly ExpectedAlert[]
}

/**
 * The limits of the rules are 10 seconds then, or 15, or 60 for a pause. To each comes what processes and Prometheus take: a
 * process looks at the database every 5 seconds, and a relay at its queue every 10.
 */
const WITHIN_S = 30
/** A process counts as lost 30 seconds after its last heartbeat, at any speed of the rules. */
const LOST_WITHIN_S = 45

const alert = (name: string, of?: string, withinS = WITHIN_S): ExpectedAlert => ({
  name: `Cashflow${name}`,
  ...(of !== undefined && { of }),
  withinS,
})

/** The alerts of a role whose processes have all ended or frozen. */
const gone = (role: string) => [alert('ServiceGone', role), ...lost(role)]
/** The alerts of a process that has ended or frozen. */
const lost = (role: string) => [alert('NotScraped', `cashflow-${role}`), alert('InstanceGone', role, LOST_WITHIN_S)]

export const WORKERS_KILLED: AlertCase = {
  fault: faults.WORKERS_KILLED,
  alerts: [...gone('worker'), alert('NoConsumer')],
}

/**
 * Begins with the workers' death. A payment is counted 70 seconds after its creation. Payments that the provider refuses, or
 * that meet a failing one, are late as well, so these may fire again until the end of the run.
 */
export const PAYMENTS_LATE: AlertCase = {
  fault: faults.NOTHING_ELSE,
  alerts: ['1m', '6m', '1h12m'].map((window) => ({ ...alert('PaymentsLate', window, 120), ends: false })),
}

export const FULL_QUEUE: AlertCase = {
  fault: faults.FULL_QUEUE,
  alerts: [alert('BacklogGrows', faults.FULL_TOPIC, 60), alert('OutboxLag', faults.FULL_TOPIC)],
}

export const POISON: AlertCase = { fault: faults.POISON, alerts: [alert('DeadLetters', 'queue')] }

export const REFUSED: AlertCase = {
  fault: faults.REFUSED_PAYMENT,
  alerts: [alert('PaymentsParked'), alert('DeadLetters', 'worker')],
}

export const SNAPSHOT: AlertCase = { fault: named('postgres-snapshot'), alerts: [alert('OldSnapshot')] }

export const UNROUTABLE: AlertCase = { fault: named('binding-delete'), alerts: [alert('MessagesReturned')] }

export const PROVIDER_FAILS: AlertCase = {
  fault: named('provider-failing'),
  alerts: [alert('BreakerOpen', 'cashflow-worker')],
}

export const WORKERS_PAUSED: AlertCase = {
  fault: named('worker-pause'),
  alerts: [alert('PausedForLong', 'worker', 80)],
}

export const API_KILLED: AlertCase = { fault: faults.API_KILLED, alerts: lost('api') }

export const BROKER_BLOCKED: AlertCase = {
  fault: named('broker-alarm'),
  alerts: [alert('BrokerBlocked', 'cashflow-relay'), alert('OutboxLag')],
}

export const RELAYS_FROZEN: AlertCase = {
  fault: faults.RELAYS_FROZEN,
  alerts: [...gone('relay'), alert('OutboxLag')],
}

function named(name: string): Fault {
  return defined(
    FAULTS.find((fault) => fault.name === name),
    `fault ${name}`,
  )
}
