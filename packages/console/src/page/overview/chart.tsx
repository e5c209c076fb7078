import { useSignal } from '@preact/signals'
import { useEffect, useId, useRef } from 'preact/hooks'
import type uPlot from 'uplot'
import type { Charts } from '../../answers.ts'
import { At } from '../parts/time.tsx'
import { type ChartKind, latestOf } from './chart-kinds.ts'
import { ChartTable } from './chart-table.tsx'
import { createPlot, plotData } from './plot.ts'

interface ChartProps {
  readonly kind: ChartKind
  readonly charts: Charts
}

/** A chart, with its values at the pointer. The table behind it is always there for screen readers. */
export function Chart({ kind, charts }: ChartProps) {
  const id = useId()
  const isTable = useSignal(false)
  const pointed = useSignal<number | null>(null)
  const isEmpty = kind.series.every(({ name }) => latestOf(charts[name]) === undefined)
  return (
    <section class="card chart" aria-labelledby={id}>
      <div class="card-head">
        <h3 id={id}>
          {kind.title} <span class="muted">{kind.unit}</span>
        </h3>
        <button
          type="button"
          class="small"
          aria-pressed={isTable.value}
          onClick={() => {
            isTable.value = !isTable.value
          }}
        >
          <span class="visually-hidden">Show as </span>
          Table
          <span class="visually-hidden">: {kind.title}</span>
        </button>
      </div>
      {!isTable.value && (
        <div aria-hidden="true">
          <Legend kind={kind} charts={charts} pointed={pointed.value} />
          {isEmpty ? (
            <p class="chart-empty">No data yet</p>
          ) : (
            <Plot
              kind={kind}
              charts={charts}
              onPoint={(index) => {
                pointed.value = index
              }}
            />
          )}
        </div>
      )}
      <ChartTable kind={kind} charts={charts} isShown={isTable.value} />
    </section>
  )
}

interface LegendProps extends ChartProps {
  readonly pointed: number | null
}

function Legend({ kind, charts, pointed }: LegendProps) {
  const at = pointed === null ? undefined : charts.at[pointed]
  return (
    <p class="legend">
      {kind.series.map(({ name, label, text }, index) => {
        const value = charts[name][pointed ?? latestOf(charts[name]) ?? -1] ?? null
        return (
          <span key={name} class={`key key-${index + 1}`}>
            {label} <strong>{value === null ? '–' : text(value)}</strong>
          </span>
        )
      })}
      {at !== undefined && (
        <span class="muted">
          <At at={new Date(at * 1_000).toISOString()} isClock />
        </span>
      )}
    </p>
  )
}

interface PlotProps extends ChartProps {
  readonly onPoint: (index: number | null) => void
}

const HEIGHT = 168

function Plot({ kind, charts, onPoint }: PlotProps) {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | null>(null)
  // The plot is made once. New data is given to it below.
  useEffect(() => {
    const element = box.current
    if (!element) return
    const made = createPlot(kind, { width: element.clientWidth, height: HEIGHT }, onPoint)
    element.append(made.root)
    plot.current = made
    const sizes = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }))
    sizes.observe(element)
    const dark = matchMedia('(prefers-color-scheme: dark)')
    const redraw = () => made.redraw()
    dark.addEventListener('change', redraw)
    return () => {
      sizes.disconnect()
      dark.removeEventListener('change', redraw)
      made.destroy()
    }
  }, [])
  useEffect(() => plot.current?.setData(plotData(kind, charts)), [kind, charts])
  return <div class="plot" ref={box} />
}
