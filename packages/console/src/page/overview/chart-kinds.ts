import type { Charts } from '../../answers.ts'
import { countText, rateText } from '../text/digits.ts'
import { durationText } from '../text/durations.ts'

type SeriesName = Exclude<keyof Charts, 'range' | 'at' | 'step_s'>

export interface ChartSeries {
  readonly name: SeriesName
  readonly label: string
  readonly text: (value: number) => string
  /** Series of the same unit share an axis. Durations are in milliseconds. */
  readonly unit: 'rate' | 'count' | 'duration'
}

export interface ChartKind {
  readonly title: string
  readonly unit: string
  readonly isLogarithmic: boolean
  readonly series: readonly ChartSeries[]
}

const perSecond = (rate: number) => `${rateText(rate)}/s`
const wholeText = (count: number) => countText(Math.round(count))

export const CHART_KINDS: readonly ChartKind[] = [
  {
    title: 'Payments',
    unit: 'a second',
    isLogarithmic: false,
    series: [
      { name: 'created', label: 'Created', text: perSecond, unit: 'rate' },
      { name: 'settled', label: 'Settled', text: perSecond, unit: 'rate' },
    ],
  },
  {
    title: 'Created to settled',
    unit: 'log scale',
    isLogarithmic: true,
    series: [
      { name: 'p50_ms', label: 'p50', text: durationText, unit: 'duration' },
      { name: 'p99_ms', label: 'p99', text: durationText, unit: 'duration' },
    ],
  },
  {
    title: 'Outbox',
    unit: 'messages, lag',
    isLogarithmic: false,
    series: [
      { name: 'backlog', label: 'Backlog', text: wholeText, unit: 'count' },
      { name: 'lag_ms', label: 'Lag', text: durationText, unit: 'duration' },
    ],
  },
  {
    title: 'Workers’ queue',
    unit: 'ready',
    isLogarithmic: false,
    series: [{ name: 'queue', label: 'Ready', text: wholeText, unit: 'count' }],
  },
]

/** The index of the latest point that has a value. Undefined if none has. */
export function latestOf(values: readonly (number | null)[]): number | undefined {
  const index = values.findLastIndex((value) => value !== null)
  return index === -1 ? undefined : index
}
