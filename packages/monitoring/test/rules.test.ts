import { join } from 'node:path'
import { THRESHOLDS } from '@cashflow/runtime'
import { fetchPrometheus } from '@cashflow/testing'
import { expect } from 'chai'
import { createAlerts } from '../src/alerts.ts'
import { duration } from '../src/duration.ts'
import { limitsOf } from '../src/limits.ts'
import { METRICS } from '../src/metrics.ts'
import { rulesFile } from '../src/rules-file.ts'
import { dashboardExpressions, read, summedFacts, unknownMetrics } from './files.ts'
import { PROMETHEUS_FOLDER, promtoolSays } from './promtool.ts'

const programs = await fetchPrometheus()

describe('rules', () => {
  it('cashflow.rules.yml: is what the table of thresholds makes', () => {
    expect(read('rules'), 'run node packages/monitoring/src/generate.ts').to.equal(rulesFile())
  })

  it('cashflow.rules.yml: reads only metrics that are listed, and facts of the database by max', () => {
    expect(unknownMetrics(read('rules').replaceAll(/\bcashflow\.rules/g, ''))).to.deep.equal([])
    expect(createAlerts().flatMap(({ expr }) => summedFacts(expr))).to.deep.equal([])
  })

  it('metrics: each that is listed is read by a rule or by the dashboard', () => {
    const read = [...createAlerts().map(({ expr }) => expr), ...dashboardExpressions(), rulesFile()].join('\n')
    expect(Object.values(METRICS).filter((name) => !new RegExp(`\\b${name}(_bucket|_count)?\\b`).test(read))).to.eql([])
  })

  it('durations: are written as Prometheus reads them', () => {
    const written = [15, 60, 90, 3_600, 3_900, 21_900, 86_400, 259_200].map(duration)
    expect(written).to.deep.equal(['15s', '1m', '1m30s', '1h', '1h5m', '6h5m', '1d', '3d'])
  })

  it('limits: are divided by the speed of the rules, down to 10 seconds, without what processes count', () => {
    const { burnRates, ...limits } = limitsOf(60)
    expect(limits).to.include({ lagSecondsMax: 10, oldestXminSecondsMax: 15, pausedSecondsMax: 60, recordSeconds: 10 })
    expect(limits).to.include({ settleWithinSeconds: 60, lateShareMax: 0.001, backlogMessagesMax: 1_000 })
    const windows = burnRates.map(({ longSeconds, shortSeconds }) => [longSeconds, shortSeconds])
    expect(windows).to.deep.equal([
      [60, 10],
      [360, 30],
      [4_320, 360],
    ])
    const { recordSeconds, evaluateSeconds, sampleSeconds, ...unchanged } = limitsOf(1)
    expect(unchanged).to.deep.equal(THRESHOLDS)
    expect([recordSeconds, evaluateSeconds, sampleSeconds]).to.deep.equal([60, 15, 60])
  })

  it('facts of the database: a sum of them is found', () => {
    const wrong = [
      'sum(cashflow_db_x)',
      'cashflow_db_x > 1',
      'sum by (topic) (cashflow_db_x)',
      'rate(cashflow_db_x[5m])',
    ]
    expect(wrong.filter((expr) => summedFacts(expr).length === 0)).to.deep.equal([])
    expect(summedFacts('max(cashflow_db_x) - max by (topic, a) (cashflow_db_y)')).to.deep.equal([])
  })

  if (programs)
    it('prometheus.yml: is a configuration that Prometheus accepts, with its rules', async () => {
      const said = await promtoolSays(programs.promtool, ['check', 'config', join(PROMETHEUS_FOLDER, 'prometheus.yml')])
      expect(said)
        .to.include('SUCCESS: 1 rule files found')
        .and.include(`${createAlerts().length + 2} rules found`)
    })
})
