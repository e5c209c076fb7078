import { styleText } from 'node:util'
import { redact } from '@cashflow/runtime'
import type { StackFile } from './stack-file.ts'

/** The table at the end of the start. Passwords of servers that were given from outside are not shown. */
export function summary({ api, database_url, rabbitmq_management_url, processes }: StackFile): string {
  const management = new URL(rabbitmq_management_url)
  const login =
    processes.rabbitmq === undefined ? management.username : `${management.username} / ${management.password}`
  const database = processes.postgres === undefined ? String(redact(database_url)) : database_url
  const rows = [
    ...api.map((url, index) => [index === 0 ? 'API' : '', url]),
    ['RabbitMQ', `${management.origin}   ${styleText('gray', 'login')} ${login}`],
    ['PostgreSQL', database],
  ]
  const [first = ''] = api
  return [
    '',
    styleText(['bold', 'green'], 'Cashflow is running'),
    '',
    ...rows.map(([name = '', value = '']) => `  ${styleText('bold', name.padEnd(12))}${value}`),
    '',
    styleText('gray', '  Create a payment:'),
    `  ${curl(first)}`,
    '',
    styleText('gray', '  Ctrl-C stops everything; the data stays.'),
    '',
  ].join('\n')
}

/** One line to paste, with a reference of its own each time. */
function curl(api: string): string {
  const payment = `{"amount": 100.50, "currency": "USD", "reference": "REF-'$(date +%s)'"}`
  return `curl ${api}/api/v1/payments -H 'Content-Type: application/json' -d '${payment}'`
}
