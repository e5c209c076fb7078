import type { Alert } from './alert.ts'
import { createAlerts, createRecords } from './alerts.ts'
import { duration } from './duration.ts'
import { limitsOf } from './limits.ts'

/**
 * Writes the rules as Prometheus reads them.
 *
 * @param speed divides the times of the rules, for runs that cannot last for hours
 */
export function rulesFile({ speed = 1 } = {}): string {
  const limits = limitsOf(speed)
  return `# Made by \`node packages/monitoring/src/generate.ts\` from the table in packages/runtime/src/thresholds.ts.
groups:
  - name: cashflow-records
    interval: ${duration(limits.recordSeconds)}
    rules:
${createRecords(limits)
  .map(({ record, expr }) => `      - record: ${record}\n        expr: ${expr}\n`)
  .join('')}
  - name: cashflow-alerts
    interval: ${duration(limits.evaluateSeconds)}
    rules:
${createAlerts(limits).map(ruleOf).join('\n')}`
}

function ruleOf({ name, severity, window, expr, forSeconds, summary }: Alert): string {
  return [
    `- alert: ${name}`,
    'expr: |-',
    ...expr.split('\n').map((line) => `  ${line}`),
    ...(forSeconds > 0 ? [`for: ${duration(forSeconds)}`] : []),
    'labels:',
    `  severity: ${severity}`,
    ...(window ? [`  window: ${window}`] : []),
    'annotations:',
    `  summary: ${JSON.stringify(summary)}`,
    `  runbook: docs/alerts.md#${name.toLowerCase()}`,
  ]
    .map((line, index) => `${index === 0 ? '      ' : '        '}${line}\n`)
    .join('')
}
