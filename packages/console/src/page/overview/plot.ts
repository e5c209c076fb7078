import uPlot from 'uplot'
import type { Charts } from '../../answers.ts'
import { axisDuration } from '../text/durations.ts'
import type { ChartKind, ChartSeries } from './chart-kinds.ts'

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()

/** The smallest value of a logarithmic scale, which has no place for 0. */
const LOG_MIN = 1

export function plotData(kind: ChartKind, charts: Charts): uPlot.AlignedData {
  const lifted = (value: number | null) => (value === null ? null : Math.max(LOG_MIN, value))
  return [
    [...charts.at],
    ...kind.series.map(({ name }) => (kind.isLogarithmic ? charts[name].map(lifted) : [...charts[name]])),
  ]
}

/** A plot without data yet. Colours are looked up at each drawing, because the operator's mode can change. */
export function createPlot(
  kind: ChartKind,
  size: { readonly width: number; readonly height: number },
  onPoint: (index: number | null) => void,
): uPlot {
  return new uPlot({
    ...size,
    padding: [8, 16, 0, 0],
    legend: { show: false },
    // One pointer for all charts. A drag zooms nothing: the next data would undo it.
    cursor: { y: false, sync: { key: 'charts' }, drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { time: true },
      ...{ rate: FROM_ZERO, count: FROM_ZERO, duration: kind.isLogarithmic ? LOGARITHMIC : FROM_ZERO },
    },
    axes: axesOf(kind),
    series: [{}, ...kind.series.map(lineOf)],
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? null)] },
  })
}

// Never flat: a series of zeros is a line at the bottom.
const FROM_ZERO: uPlot.Scale = { range: (_plot, _min, max) => [0, Math.max(1, (max ?? 0) * 1.1)] }
const LOGARITHMIC: uPlot.Scale = {
  distr: 3,
  range: (_plot, min, max) => uPlot.rangeLog(min ?? LOG_MIN, max ?? LOG_MIN, 10, true),
}

function lineOf(series: ChartSeries, index: number): uPlot.Series {
  return {
    scale: series.unit,
    width: 1.5,
    stroke: () => colour(`--series-${index + 1}`),
    ...(index > 0 && { dash: [5, 3] }),
    points: { show: false },
  }
}

const FONT = '11px system-ui, sans-serif'

function axesOf(kind: ChartKind): uPlot.Axis[] {
  const look = {
    font: FONT,
    stroke: () => colour('--muted'),
    grid: { stroke: () => colour('--line'), width: 1 },
    ticks: { show: false },
  }
  const series = [...new Map(kind.series.map((each) => [each.unit, each])).values()]
  return [
    { ...look, grid: { show: false }, size: 24, gap: 4, space: 38, values: TIMES },
    ...series.map((each, index): uPlot.Axis => {
      const text = each.unit === 'duration' ? axisDuration : each.text
      return {
        ...look,
        ...{ scale: each.unit, side: index === 0 ? 3 : 1, size: 56, gap: 6, space: 32 },
        ...(index > 0 && { grid: { show: false } }),
        ...(each.unit !== 'rate' && { incrs: each.unit === 'count' ? COUNT_STEPS : DURATION_STEPS }),
        ...(kind.isLogarithmic && { splits: decadesOf }),
        values: (_plot, splits) => splits.map(text),
      }
    }),
  ]
}

const COUNT_STEPS = Array.from({ length: 9 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat()
const MINUTE_MS = 60_000
const DURATION_STEPS = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000],
  ...[1, 2, 5, 10, 15, 30, 60, 120, 360, 720, 1_440].map((minutes) => minutes * MINUTE_MS),
]

function decadesOf(_plot: uPlot, _axis: number, min: number, max: number): number[] {
  const first = Math.ceil(Math.log10(min))
  const count = Math.floor(Math.log10(max)) - first + 1
  return Array.from({ length: Math.max(0, count) }, (_, index) => 10 ** (first + index))
}

// 24 hours a day, as everywhere on the page: uPlot's own texts have 12. Columns: step, text, and unused texts of other units.
const TIMES: uPlot.Axis.TimeValuesConfig = [
  [86_400, '{YYYY}-{MM}-{DD}', null, null, null, null, null, null, 1],
  [60, '{HH}:{mm}', null, null, null, null, null, null, 1],
  [1, '{HH}:{mm}:{ss}', null, null, null, null, null, null, 1],
]
