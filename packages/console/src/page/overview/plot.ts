import uPlot from 'uplot'
import type { Charts } from '../../answers.ts'
import type { ChartKind } from './chart-kinds.ts'

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
    padding: [8, 8, 0, 0],
    legend: { show: false },
    // One pointer for all charts. A drag zooms nothing: the next data would undo it.
    cursor: { y: false, sync: { key: 'charts' }, drag: { x: false, y: false }, points: { size: 6 } },
    scales: { x: { time: true }, y: scaleOf(kind.isLogarithmic), right: scaleOf(false) },
    axes: axesOf(kind),
    series: [{}, ...kind.series.map(({ scale, label }, index) => lineOf(label, scale, index))],
    hooks: { setCursor: [({ cursor }) => onPoint(cursor.idx ?? null)] },
  })
}

function scaleOf(isLogarithmic: boolean): uPlot.Scale {
  if (isLogarithmic) return { distr: 3 }
  // From 0, and never flat: a series of zeros is a line at the bottom.
  return { range: (_plot, _min, max) => [0, Math.max(1, (max ?? 0) * 1.1)] }
}

function lineOf(label: string, scale: string, index: number): uPlot.Series {
  return {
    label,
    scale,
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
  const scales = [...new Set(kind.series.map(({ scale }) => scale))]
  return [
    { ...look, grid: { show: false }, size: 24, gap: 4, space: 64, values: TIMES },
    ...scales.map((scale, index): uPlot.Axis => {
      const text = kind.series.find((series) => series.scale === scale)?.text ?? String
      return {
        ...look,
        ...{ scale, side: index === 0 ? 3 : 1, size: 56, gap: 6, space: 32 },
        ...(index > 0 && { grid: { show: false } }),
        values: (_plot, splits) => splits.map((split) => (split === null ? null : text(split))),
      }
    }),
  ]
}

// 24 hours a day, as everywhere on the page: uPlot's own texts have 12. Columns: step, text, and unused texts of other units.
const TIMES: uPlot.Axis.TimeValuesConfig = [
  [86_400, '{YYYY}-{MM}-{DD}', null, null, null, null, null, null, 1],
  [60, '{HH}:{mm}', null, null, null, null, null, null, 1],
  [1, '{HH}:{mm}:{ss}', null, null, null, null, null, null, 1],
]
