import { parseCommandLine, parseNumber, UsageError } from '@cashflow/dev-stack'
import type { Fault } from './fault.ts'
import { FAULTS } from './faults/index.ts'

/** The arguments that decide a run. */
export interface Plan {
  readonly seed: number
  readonly minutes: number
  readonly faults: readonly Fault[]
  /** Maximum number of faults at the same time. */
  readonly atOnce: number
  /** Bounds of the time between the end of a fault and the next one in its slot, in milliseconds. */
  readonly restMs: readonly [min: number, max: number]
  readonly clients: number
  readonly perSecond: number
  /** Starts a Prometheus, and reports the alerts that it fired. Default: false. */
  readonly prometheus?: boolean
}

export const HELP = `npm run chaos -- [options]      causes faults in a running Cashflow, and checks that no payment is lost or doubled

  --seed N          decides the schedule: the same seed gives the same one (random, and printed)
  --minutes M       duration of the faults (5)
  --faults A,B      only faults with these names, or whose names begin with them: worker, broker-wipe (all)
  --at-once N       maximum number of faults at the same time (2)
  --rest S          seconds without a fault after each one, to see the cost of each (0.5 to 4)
  --clients N       number of clients that create payments (24)
  --per-second N    payments per second of all clients together (40)
  --prometheus      a Prometheus scrapes the services, and the report has the alerts that fired
  --list            prints the names of all faults
  --help

Exits with 1 when an invariant is broken, with 2 for wrong arguments or when it could not start.
It uses its own servers, services, ports and data, and disturbs nothing else on this machine.
`

/** Reads the command line. @throws UsageError that names the wrong argument */
export function readArguments(args: readonly string[]): Plan & { list: boolean; help: boolean } {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean' } as const
  const options = {
    seed: text,
    minutes: text,
    faults: text,
    'at-once': text,
    rest: text,
    clients: text,
    'per-second': text,
    prometheus: flag,
    list: flag,
    help: { ...flag, short: 'h' },
  } as const
  const { values } = parseCommandLine({ args: [...args], options }, HELP)
  const number = (
    name: 'seed' | 'minutes' | 'at-once' | 'rest' | 'clients' | 'per-second',
    range: Parameters<typeof parseNumber>[2],
  ) => {
    const value = values[name]
    return value === undefined ? undefined : parseNumber(`--${name}`, value, range)
  }
  const restS = number('rest', { min: 0, max: 600 })
  return {
    seed: number('seed', { min: 0, max: 2 ** 31 - 1 }) ?? Math.floor(Math.random() * 1_000_000),
    minutes: number('minutes', { min: 0.1, max: 10_000, fractions: true }) ?? 5,
    faults: chosen(values.faults),
    atOnce: number('at-once', { min: 1, max: 5 }) ?? 2,
    restMs: restS === undefined ? [500, 4_000] : [restS * 1_000, restS * 1_000],
    clients: number('clients', { min: 1, max: 1_000 }) ?? 24,
    perSecond: number('per-second', { min: 1, max: 10_000 }) ?? 40,
    prometheus: values.prometheus ?? false,
    list: values.list ?? false,
    help: values.help ?? false,
  }
}

/** Returns the command that starts the same run again. */
export function commandLine({ seed, minutes, faults, atOnce, restMs, clients, perSecond, prometheus }: Plan): string {
  const [restMinMs, restMaxMs] = restMs
  const options = [
    `--seed ${seed} --minutes ${minutes}`,
    ...(faults.length < FAULTS.length ? [`--faults ${faults.map(({ name }) => name).join()}`] : []),
    `--at-once ${atOnce}`,
    ...(restMinMs === restMaxMs ? [`--rest ${restMinMs / 1_000}`] : []),
    `--clients ${clients} --per-second ${perSecond}`,
    ...(prometheus ? ['--prometheus'] : []),
  ]
  return `npm run chaos -- ${options.join(' ')}`
}

function chosen(names: string | undefined): readonly Fault[] {
  if (names === undefined) return FAULTS
  const wanted = names.split(',').map((name) => name.trim())
  return FAULTS.filter((fault) => wanted.some((name) => matching(name).includes(fault)))
}

/** Returns the fault of that name, or all faults whose names begin with it. */
function matching(name: string): readonly Fault[] {
  const exact = FAULTS.filter((fault) => fault.name === name)
  const found = exact.length > 0 ? exact : FAULTS.filter((fault) => fault.name.startsWith(name))
  if (name === '' || found.length === 0) throw new UsageError(`there is no fault "${name}". There are:\n${list()}`)
  return found
}

export function list(): string {
  return `${FAULTS.map(({ name }) => name).join('\n')}\n`
}
