import { THRESHOLDS } from '@cashflow/runtime'

type Table = typeof THRESHOLDS

/** What the rules are made from. */
export type Limits = {
  readonly [Name in keyof Table]: Table[Name] extends number ? number : Table[Name]
} & {
  /** Time between two counts of payments, in seconds. */
  readonly recordSeconds: number
  /** Time between two evaluations of the alerts, in seconds. */
  readonly evaluateSeconds: number
  /** Time between two samples of a backlog that may grow, in seconds. */
  readonly sampleSeconds: number
}

/** A process looks at the database every 5 seconds, and a relay at its queue every 10. Rules cannot be faster. */
const SECONDS_MIN = 10

/**
 * The thresholds, with the times at which rules are evaluated.
 *
 * @param speed divides all times of the rules, down to 10 seconds. It does not change what processes count themselves,
 *   such as the 60 seconds after which a payment is late
 */
export function limitsOf(speed: number): Limits {
  const time = (seconds: number) => (speed === 1 ? seconds : Math.max(SECONDS_MIN, Math.round(seconds / speed)))
  const often = (seconds: number) => Math.max(1, Math.round(seconds / speed))
  const isTime = (name: string) => /Seconds(Max)?$/.test(name) && name !== 'settleWithinSeconds'
  const faster = (row: object): object =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => [name, isTime(name) ? time(value as number) : (value as unknown)]),
    )
  return {
    ...(faster(THRESHOLDS) as Limits),
    burnRates: THRESHOLDS.burnRates.map((rate) => faster(rate) as typeof rate),
    recordSeconds: time(60),
    evaluateSeconds: often(15),
    sampleSeconds: often(60),
  }
}
