import { THRESHOLDS } from '@cashflow/runtime'
import { fetchPrometheus } from '@cashflow/testing'
import { expect } from 'chai'
import { dashboard, dashboardExpressions, type Panel, read, summedFacts, unknownMetrics } from './files.ts'
import { parse } from './promtool.ts'

const programs = await fetchPrometheus()
const { lateShareMax, burnRates } = THRESHOLDS

/** Limits that panels show, by their titles. */
const LIMITS = {
  'Late payments': burnRates.filter(({ severity }) => severity === 'page').map(({ factor }) => factor * lateShareMax),
  'Oldest message': [THRESHOLDS.lagSecondsMax],
  'Oldest message by topic': [THRESHOLDS.lagSecondsMax],
  'Oldest snapshot': [THRESHOLDS.oldestXminSecondsMax],
  'Late webhooks': [THRESHOLDS.fanOutLagSecondsMax],
  'Age of these facts': [THRESHOLDS.factsAgeSecondsMax],
}

describe('dashboard', () => {
  const { panels, schemaVersion } = dashboard()

  it('dashboard: has panels that overlap nowhere, each with a title and an id of its own', () => {
    expect(schemaVersion).to.equal(42)
    const own = panels.flatMap(({ id, title }) => [id, title])
    expect(new Set(own).size).to.equal(own.length)
    const cells = panels.flatMap(cellsOf)
    expect(new Set(cells).size).to.equal(cells.length)
    for (const { gridPos, title } of panels) expect(gridPos.x + gridPos.w, title).to.be.at.most(24)
  })

  it('dashboard: reads only metrics that are listed, and facts of the database by max', () => {
    expect(unknownMetrics(dashboardExpressions().join('\n'))).to.deep.equal([])
    expect(dashboardExpressions().flatMap(summedFacts)).to.deep.equal([])
  })

  it('dashboard: shows the limits of the alerts', () => {
    for (const [title, limits] of Object.entries(LIMITS)) {
      const steps = panels.find((panel) => panel.title === title)?.fieldConfig?.defaults.thresholds.steps ?? []
      for (const limit of limits)
        expect(
          steps.map(({ value }) => value?.toPrecision(6)),
          title,
        ).to.include(limit.toPrecision(6))
    }
  })

  it('dashboard: titles that docs/alerts.md names are those of panels', () => {
    const named = [...read('runbooks').matchAll(/panels? (?:"[^"]+"(?: and )?)+/g)].flatMap(([text]) =>
      Array.from(text.matchAll(/"([^"]+)"/g), ([, title]) => title),
    )
    expect(named).not.to.be.empty
    expect(panels.map(({ title }) => title)).to.include.members(named)
  })

  if (programs)
    it('dashboard: has no expression that Prometheus cannot parse', async () => {
      await parse(programs.promtool, dashboardExpressions())
    })
})

function cellsOf({ gridPos: { x, y, w, h } }: Panel): string[] {
  return Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`)
}
