import type { Alert } from './alert.ts'
import type { Limits } from './limits.ts'
import { METRICS as M } from './metrics.ts'

export function webhookAlerts(T: Limits): Alert[] {
  return [
    {
      name: 'CashflowWebhooksGone',
      severity: 'page',
      // Without an enabled endpoint no process is needed.
      expr: [
        `max(${M.instances}{role="webhooks"}) == 0`,
        `and on () (max(${M.webhookEndpoints}{state=~"healthy|new|failing"}) > 0)`,
      ].join('\n'),
      forSeconds: T.serviceGoneSecondsMax,
      summary: 'no process sends webhooks, and endpoints wait for them',
    },
    {
      name: 'CashflowWebhookFanOutLag',
      severity: 'page',
      expr: `max(${M.fanOutLag}) > ${T.fanOutLagSecondsMax}`,
      forSeconds: 0,
      summary: 'an event has waited {{ $value | humanizeDuration }} to become deliveries to webhook endpoints',
    },
    {
      name: 'CashflowWebhooksLate',
      severity: 'ticket',
      expr: `max(${M.webhookOverdue}) > ${T.webhookOverdueSecondsMax}`,
      forSeconds: T.webhookOverdueSecondsMax,
      summary: 'a delivery to an endpoint that answers has been due for {{ $value | humanizeDuration }}',
    },
    {
      name: 'CashflowWebhookEndpointDisabled',
      severity: 'ticket',
      expr: `max by (reason) (${M.webhookEndpointsDisabled}{reason=~"failing|gone"}) > 0`,
      forSeconds: 0,
      summary: '{{ $value }} webhook endpoints were disabled in the last day: {{ $labels.reason }}',
    },
  ]
}
