import { styleText } from 'node:util'
import { isGone, type Look, queueDepths, type Row, replacedOf, rowsOf } from '@cashflow/db/operator'
import { visible } from '@cashflow/runtime'
import { tableLines } from './show.ts'

/** The status for people. What is over a threshold is red, and says so for those who see no colours. */
export function statusLines(look: Look, at = new Date()): string[] {
  const sections = [...Map.groupBy(rowsOf(look), ({ section }) => section)]
  const cells = ({ label, value, over }: Row) => {
    const shown = [visible(label), visible(over === undefined ? value : `${value}  ! ${over}`)]
    return ['', ...(over === undefined ? shown : shown.map((text) => styleText('red', text)))]
  }
  const lines = tableLines(sections.flatMap(([name, rows]) => [[styleText('bold', name)], ...rows.map(cells)]))
  return [styleText('gray', at.toISOString()), ...lines]
}

/** Which values are over their thresholds. */
export function overOf(look: Look): string[] {
  return rowsOf(look).flatMap(({ section, label, over }) =>
    over === undefined ? [] : [`${section}, ${label}: ${over}`],
  )
}

/** The status for programs. A part is null if PostgreSQL could not read it. */
export function statusJson(look: Look, at = new Date()) {
  const { status, rates } = look
  const { pending, settled, oldestXmin, webhooks } = status
  const replaced = replacedOf(status.instances ?? [])
  return {
    at,
    over: overOf(look),
    rates_per_second: rates ?? null,
    last_minute: settled
      ? { until: new Date(settled.toMs), created: settled.created, settled_within: settled.settled }
      : null,
    pending: pending
      ? {
          payments: pending.pending,
          parked: pending.parked,
          oldest_seconds: pending.oldestMs / 1_000,
          overdue_seconds: pending.overdueMs / 1_000,
          by_waiting_for: Object.fromEntries(pending.byWaitingFor),
          by_age: Object.fromEntries(pending.byAge),
        }
      : null,
    outbox: status.backlog?.map(({ oldestMs, ...backlog }) => ({ ...backlog, lag_seconds: oldestMs / 1_000 })) ?? null,
    queues: status.instances ? queueDepths(status.instances) : null,
    dead_letters: status.deadLetters ?? null,
    pauses:
      status.pauses
        ?.filter(({ isInForce }) => isInForce)
        .map(({ component, reason, pausedBy, pausedAt, until }) => ({
          ...{ component, reason, paused_by: pausedBy, paused_at: pausedAt, until },
        })) ?? null,
    instances:
      status.instances?.map((instance) => ({
        role: instance.role,
        instance: instance.instance,
        version: instance.version,
        started_at: instance.startedAt,
        seen_at: instance.seenAt,
        seen_seconds_ago: instance.ageMs / 1_000,
        gone: isGone(instance),
        replaced: replaced.has(instance),
        counters: instance.counters,
        queue_depths: instance.queueDepths,
      })) ?? null,
    webhooks: webhooks
      ? {
          endpoints: webhooks.endpoints,
          disabled_lately: Object.fromEntries(webhooks.disabledLately),
          overdue_seconds: webhooks.overdueMs / 1_000,
          fan_out_lag_seconds: webhooks.fanOutLagMs / 1_000,
        }
      : null,
    oldest_xmin: oldestXmin ? { seconds: oldestXmin.ageMs / 1_000, transactions: oldestXmin.transactions } : null,
  }
}
