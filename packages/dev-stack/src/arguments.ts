import { parseCommandLine, parseNumber } from './command-line.ts'

const COUNT = { min: 1, max: 32 }

export const HELP = `npm start -- [options]      runs the whole of Cashflow on this machine

  --apis N      number of API processes, each on a port of its own (1)
  --relays N    number of relay processes (1)
  --workers N   number of worker processes (1)
  --webhooks N  number of processes that send webhooks (1)
  --fresh       start from empty data
  --help

Without DATABASE_URL or DB_HOST, PostgreSQL is started too; without RABBITMQ_URL
or MQ_HOST, RabbitMQ is. Settings in .env are read. Ctrl-C stops everything.
`

export type Arguments = ReturnType<typeof readArguments>

/** @throws UsageError that names the wrong argument */
export function readArguments(args: string[]) {
  const count = { type: 'string', default: '1' } as const
  const flag = { type: 'boolean', default: false } as const
  const counts = { apis: count, relays: count, workers: count, webhooks: count } as const
  const options = { ...counts, fresh: flag, help: { ...flag, short: 'h' } } as const
  const { apis, relays, workers, webhooks, ...flags } = parseCommandLine({ args, options }, HELP).values
  return {
    ...flags,
    apis: parseNumber('--apis', apis, COUNT),
    relays: parseNumber('--relays', relays, COUNT),
    workers: parseNumber('--workers', workers, COUNT),
    webhooks: parseNumber('--webhooks', webhooks, COUNT),
  }
}
