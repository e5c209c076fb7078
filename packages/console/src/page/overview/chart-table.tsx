import type { Charts } from '../../answers.ts'
import { At } from '../parts/time.tsx'
import type { ChartKind } from './chart-kinds.ts'

interface ChartTableProps {
  readonly kind: ChartKind
  readonly charts: Charts
  readonly isShown: boolean
}

/** The numbers of a chart, the newest first. */
export function ChartTable({ kind, charts, isShown }: ChartTableProps) {
  const newestFirst = charts.at.map((at, index) => ({ at, index })).reverse()
  return (
    <div class={isShown ? 'chart-table' : 'visually-hidden'} tabIndex={isShown ? 0 : undefined}>
      <table>
        <caption class="visually-hidden">{kind.title}</caption>
        <thead>
          <tr>
            <th scope="col">From</th>
            {kind.series.map(({ name, label }) => (
              <th scope="col" class="number" key={name}>
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {newestFirst.map(({ at, index }) => (
            <tr key={at}>
              <th scope="row">
                <At at={new Date(at * 1_000).toISOString()} isClock={charts.range !== '24h'} />
              </th>
              {kind.series.map(({ name, text }) => {
                const value = charts[name][index] ?? null
                return (
                  <td class="number" key={name}>
                    {value === null ? '–' : text(value)}
                  </td>
                )
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
