import { join, resolve } from 'node:path'
import { styleText } from 'node:util'
import type { Arguments } from './arguments.ts'
import { createLogPrinter } from './log-printer.ts'
import type { RunOptions } from './run-stack.ts'
import { READ_BY_STACK, type StackSettings, WITHOUT_BROKER_TLS } from './settings.ts'

export const CHECKOUT = resolve(import.meta.dirname, '../../..')

/** The services of this repository. All that they write to the disk is in its folder `.cashflow`. */
export function cashflowStack(
  { apis, relays, workers, webhooks, fresh }: Arguments,
  settings: StackSettings,
  env: NodeJS.ProcessEnv,
): RunOptions {
  const node = (script: string) => ({ file: process.execPath, args: [join(CHECKOUT, script)] })
  const write = (line: string) => void process.stdout.write(`${line}\n`)
  return {
    stateDir: join(CHECKOUT, '.cashflow'),
    settings,
    serverPorts: { postgres: 5432, rabbitmq: 5672, management: 15672 },
    counts: { api: apis, relay: relays, worker: workers, webhooks },
    commands: {
      migrate: node('db/src/migrate-main.ts'),
      api: node('services/api/src/main.ts'),
      relay: node('services/relay/src/main.ts'),
      worker: node('services/worker/src/main.ts'),
      webhooks: node('services/webhooks/src/main.ts'),
    },
    env: { ...env, ...READ_BY_STACK, ...(settings.given.rabbitmqUrl ? {} : WITHOUT_BROKER_TLS) },
    cwd: CHECKOUT,
    fresh,
    printer: createLogPrinter({ write, level: settings.logLevel, labelWidth: 'webhooks 10'.length }),
    show: write,
    say: (line) => write(styleText('gray', `· ${line}`)),
  }
}
