import { parseArgs } from 'node:util'
import { StartError } from './start-error.ts'

export type Arguments = { apis: number; relays: number; workers: number; fresh: boolean; help: boolean }

const COUNT_MAX = 32

export const HELP = `npm start -- [options]      runs the whole of Cashflow on this machine

  --apis N      processes of the API, each on a port of its own (1)
  --relays N    processes of the relay (1)
  --workers N   processes of the worker (1)
  --fresh       start from empty data
  --help

PostgreSQL and RabbitMQ are started too, unless DATABASE_URL or DB_HOST, and
RABBITMQ_URL or MQ_HOST, say where they are; .env is read. Ctrl-C stops all.
`

/** @throws StartError that says what is wrong with them */
export function readArguments(args: string[]): Arguments {
  const { apis, relays, workers, fresh = false, help = false } = parse(args)
  return {
    apis: count('--apis', apis),
    relays: count('--relays', relays),
    workers: count('--workers', workers),
    fresh,
    help,
  }
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        apis: { type: 'string' },
        relays: { type: 'string' },
        workers: { type: 'string' },
        fresh: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values
  } catch (error) {
    throw new StartError(`${(error as Error).message}\n\n${HELP}`)
  }
}

function count(name: string, value = '1'): number {
  const number = /^\d{1,3}$/.test(value) ? Number(value) : 0
  if (number < 1 || number > COUNT_MAX)
    throw new StartError(`${name} must be a number from 1 to ${COUNT_MAX}, not ${value}`)
  return number
}
