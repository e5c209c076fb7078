import { CHART_RANGES, type ChartRange, type Charts as ChartsAnswer } from '../../answers.ts'
import { pathOf } from '../api.ts'
import { Loaded } from '../parts/states.tsx'
import { usePolled } from '../polled.ts'
import { route, setQuery } from '../router.ts'
import { Chart } from './chart.tsx'
import { CHART_KINDS } from './chart-kinds.ts'

const NAMES: Readonly<Record<ChartRange, string>> = { '5m': '5 minutes', '1h': '1 hour', '24h': '24 hours' }

const isRange = (text: string | null): text is ChartRange => CHART_RANGES.some((range) => range === text)

/** The charts of the overview, over a range that stands in the address. */
export function Charts() {
  const asked = route.value.query.get('range')
  const range = isRange(asked) ? asked : '5m'
  const polled = usePolled<ChartsAnswer>(pathOf('/api/charts', { range }))
  return (
    <section aria-labelledby="charts">
      <div class="section-head">
        <h2 id="charts">History</h2>
        <fieldset class="switch">
          <legend class="visually-hidden">Range of the charts</legend>
          {CHART_RANGES.map((each) => (
            <button
              type="button"
              key={each}
              aria-pressed={each === range}
              onClick={() => setQuery({ range: each === '5m' ? null : each })}
            >
              {NAMES[each]}
            </button>
          ))}
        </fieldset>
      </div>
      <Loaded polled={polled}>
        {(charts) => (
          <div class="charts">
            {CHART_KINDS.map((kind) => (
              <Chart key={kind.title} kind={kind} charts={charts} />
            ))}
          </div>
        )}
      </Loaded>
    </section>
  )
}
