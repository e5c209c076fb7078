import { parseCommandLine, parseNumber } from './command-line.ts'

export interface Arguments {
  apis: number
  relays: number
  workers: number
  fresh: boolean
  help: boolean
}

const COUNT = { min: 1, max: 32 }

export const HELP = `npm start -- [options]      runs the whole of Cashflow on this machine

  --apis N      number of API processes, each on a port of its own (1)
  --relays N    number of relay processes (1)
  --workers N   number of worker processes (1)
  --fresh       start from empty data
  --help

Without DATABASE_URL or DB_HOST, PostgreSQL is started too; without RABBITMQ_URL
or MQ_HOST, RabbitMQ is. Settings in .env are read. Ctrl-C stops everything.
`

/** @throws UsageError that names the wrong argument */
export function readArguments(args: string[]): Arguments {
  const options = {
    apis: { type: 'string', default: '1' },
    relays: { type: 'string', default: '1' },
    workers: { type: 'string', default: '1' },
    fresh: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  } as const
  const { apis, relays, workers, fresh, help } = parseCommandLine({ args, options }, HELP).values
  return {
    apis: parseNumber('--apis', apis, COUNT),
    relays: parseNumber('--relays', relays, COUNT),
    workers: parseNumber('--workers', workers, COUNT),
    fresh,
    help,
  }
}
