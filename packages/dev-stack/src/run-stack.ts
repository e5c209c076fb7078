import { once } from 'node:events'
import { styleText } from 'node:util'
import { defined } from '@cashflow/async'
import { redact, visible } from '@cashflow/runtime'
import type { StackOptions } from './stack/context.ts'
import { type Stack, startStack } from './stack/stack.ts'
import type { StackFile } from './stack/state-folder.ts'
import { onStopSignals } from './stack/stop-signals.ts'

export type RunOptions = Omit<StackOptions, 'signal'> & { show: (text: string) => void }

/** Runs a stack until a signal stops it. A second signal, over a second later, kills all that still runs. */
export async function runStack(options: RunOptions): Promise<void> {
  const { printer, say, show } = options
  const stopping = new AbortController()
  onStopSignals({
    stop(name) {
      say(`${name}: stopping; a second signal kills the remaining processes`)
      stopping.abort()
    },
    kill: () => process.exit(1), // Kills the registered processes too (state-folder.ts).
  })
  const stack = await startStack({ ...options, signal: stopping.signal }).catch((error) => {
    if (!stopping.signal.aborted) throw error
  })
  if (!stack) return
  show(summary(stack.file(), stack.pauses))
  printer.release()
  if (!stopping.signal.aborted) await once(stopping.signal, 'abort')
  await stack.stop()
  say('everything is stopped')
}

/** The table at the end of the start. It hides the passwords of servers that the settings name. */
function summary(
  { api, console_url, admin, database_url, rabbitmq_management_url, processes }: StackFile,
  pauses: Stack['pauses'],
): string {
  const management = new URL(rabbitmq_management_url)
  const login =
    processes.rabbitmq === undefined ? management.username : `${management.username} / ${management.password}`
  const database = processes.postgres === undefined ? String(redact(database_url)) : database_url
  const rows: [string, string][] = [
    ...api.map((url, index): [string, string] => [index === 0 ? 'API' : '', url]),
    ['Console', console_url],
    ['RabbitMQ', `${management.origin}   ${styleText('gray', 'login')} ${login}`],
    ['PostgreSQL', database],
    ...Object.entries(admin)
      .filter(([, urls]) => urls.length > 0)
      .map(([service, urls], index): [string, string] => [
        index === 0 ? 'Metrics' : '',
        `${styleText('gray', service.padEnd(9))}${urls.map((url) => `${url}/metrics`).join('   ')}`,
      ]),
    ...Array.from(pauses, ([component, { by, reason }]): [string, string] => [
      'Paused',
      visible(`all ${component}s, by ${by}: ${reason}`),
    ]),
  ]
  // Each time the command is run, its reference is another one.
  const payment = `{"amount": 100.50, "currency": "USD", "reference": "REF-'$(date +%s)'"}`
  const url = defined(api[0], 'API')
  return [
    '',
    styleText(['bold', 'green'], 'Cashflow is running'),
    '',
    ...rows.map(([name, value]) => `  ${styleText('bold', name.padEnd(12))}${value}`),
    '',
    styleText('gray', '  Create a payment:'),
    `  curl ${url}/api/v1/payments -H 'Content-Type: application/json' -d '${payment}'`,
    '',
    styleText('gray', '  Ctrl-C stops everything; the data stays.'),
    '',
  ].join('\n')
}
