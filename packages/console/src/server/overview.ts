import { isGone, type Look, queueDepths, replacedOf, rowsOf, type SeenInstance } from '@cashflow/db/operator'
import type { InstanceState, Overview } from '../answers.ts'
import { timeOf } from './request.ts'

/** Age of a heartbeat from which a process counts as late, in milliseconds: it writes one every 2 seconds. */
const LATE_MS = 5_000

/** What a look at the system shows. */
export function overviewOf(look: Look, at = new Date()): Overview {
  const { status, rates } = look
  const { pending, webhooks, instances } = status
  const pauses = status.pauses?.filter(({ isInForce }) => isInForce)
  const paused = new Set<string>(pauses?.map(({ component }) => component))
  const replaced = replacedOf(instances ?? [])
  return {
    at: timeOf(at),
    rates: rates ?? null,
    rows: rowsOf(look).map(({ over, ...row }) => ({ ...row, over: over ?? null })),
    instances:
      instances?.map((seen) => ({
        id: seen.id,
        role: seen.role,
        instance: seen.instance,
        version: seen.version,
        started_at: timeOf(seen.startedAt),
        seen_ms_ago: Math.max(0, Math.round(seen.ageMs)),
        state: stateOf(seen, paused),
        replaced: replaced.has(seen),
      })) ?? null,
    pauses:
      pauses?.map(({ component, reason, pausedBy, pausedAt, until }) => ({
        ...{ component, reason, paused_by: pausedBy, paused_at: timeOf(pausedAt), until: timeOf(until) },
      })) ?? null,
    outbox:
      status.backlog?.map(({ topic, messages, capped, oldestMs }) => ({ topic, messages, capped, lag_ms: oldestMs })) ??
      null,
    queues: queueDepths(instances),
    dead_letters: status.deadLetters ?? null,
    pending: pending
      ? {
          payments: pending.pending,
          parked: pending.parked,
          oldest_ms: pending.oldestMs,
          overdue_ms: pending.overdueMs,
          by_waiting_for: Object.fromEntries(pending.byWaitingFor),
        }
      : null,
    webhooks: webhooks
      ? {
          endpoints: Object.values(webhooks.endpoints).reduce((sum, some) => sum + some, 0),
          overdue_ms: webhooks.overdueMs,
          fan_out_lag_ms: webhooks.fanOutLagMs,
        }
      : null,
  }
}

function stateOf(seen: SeenInstance, paused: ReadonlySet<string>): InstanceState {
  if (isGone(seen)) return 'gone'
  if (seen.ageMs > LATE_MS) return 'late'
  return paused.has(seen.role) ? 'paused' : 'up'
}
