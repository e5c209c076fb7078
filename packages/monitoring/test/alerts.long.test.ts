import { fetchPrometheus } from '@cashflow/testing'
import { expect } from 'chai'
import { createAlerts } from '../src/alerts.ts'
import { FAULTS } from './faults.ts'
import { facts, healthySeries, paused, payments } from './healthy.ts'
import { type AlertTest, type Firing, testRules } from './promtool.ts'

const NAMES = [...new Set(createAlerts().map(({ name }) => name))]
const LATE = 'CashflowPaymentsLate'
const programs = await fetchPrometheus()

/** Expects these alerts at a time, and no other. */
function only(at: string, firing: Readonly<Record<string, readonly Firing[]>> = {}): AlertTest['expected'] {
  return NAMES.map((alert) => ({ at, alert, firing: firing[alert] ?? [] }))
}

/** The burn alerts that fire, by window, with the shares that they report. */
function late(shares: Readonly<Record<string, string>>): Firing[] {
  return Object.entries(shares).map(([window, share]) => ({
    labels: { severity: window === '3d' ? 'ticket' : 'page', window },
    summary: `${share} of the payments of ${window} were not settled within 1m`,
  }))
}

if (programs)
  describe('alerts', () => {
    const expectAlerts = (interval: string, series: AlertTest['series'], expected: AlertTest['expected']) =>
      testRules(programs.promtool, { interval, series: { ...healthySeries(2_000), ...series }, expected })

    it('alerts: are quiet for a day in which nothing needs an operator', async () => {
      await expectAlerts(
        '1m',
        {},
        ['1m', '10m', '2h', '24h'].flatMap((at) => only(at)),
      )
    })

    it('alerts: each has a fault that it fires for', () => {
      expect([...FAULTS.map(({ alert }) => alert), LATE]).to.include.members(NAMES)
    })

    for (const { alert, series, quietAt, firesAt, firing } of FAULTS) {
      it(`alerts: ${alert} fires ${firesAt} after the start for ${firing[0]?.summary}`, async () => {
        await expectAlerts('15s', series, [
          { at: '4m45s', alert, firing: [] },
          { at: quietAt, alert, firing: [] },
          { at: firesAt, alert, firing },
        ])
      })
    }

    it('alerts: a page says that payments are late when all workers are dead from minute 5', async () => {
      // Payments are counted when they are 70 seconds old.
      await expectAlerts('1m', payments('0+60x99', '0+60x6 360+0x99'), [
        { at: '6m', alert: LATE, firing: [] },
        { at: '9m', alert: LATE, firing: late({ '1h': '29.41%', '6h': '29.41%', '3d': '29.41%' }) },
      ])
    })

    it('alerts: pages say so four minutes after workers died in a good day, and end with their short windows', async () => {
      const settled = `0+60x721 43260+0x9 ${43260 + 60}+60x1500`
      await expectAlerts('1m', payments('0+60x2000', settled), [
        { at: '721m', alert: LATE, firing: [] },
        { at: '724m', alert: LATE, firing: late({ '1h': '4.098%', '6h': '0.6925%', '3d': '0.3455%' }) },
        { at: '740m', alert: LATE, firing: late({ '6h': '2.77%', '3d': '1.352%' }) },
        { at: '765m', alert: LATE, firing: late({ '3d': '1.308%' }) },
        { at: '1095m', alert: LATE, firing: [] },
      ])
    })

    it('alerts: a page says that payments are late when none of thirty an hour settles', async () => {
      await expectAlerts('1m', payments('0+0.5x200', '0+0x200'), [
        { at: '5m', alert: LATE, firing: [] },
        { at: '30m', alert: LATE, firing: late({ '1h': '100%', '6h': '100%', '3d': '100%' }) },
      ])
    })

    it('alerts: a ticket, and no page, says that two of a thousand payments are late', async () => {
      await expectAlerts('1m', payments('0+1000x2000', '0+998x2000'), [
        { at: '24h', alert: LATE, firing: late({ '3d': '0.2%' }) },
      ])
    })

    it('alerts: one late payment of few in a day is no alert', async () => {
      await expectAlerts(
        '1m',
        payments('0+1x2000', '0+1x99 99 100+1x2000'),
        ['100m', '101m', '103m', '3h', '12h'].map((at) => ({ at, alert: LATE, firing: [] })),
      )
    })

    it('alerts: a missing standby is no alert where none is required', async () => {
      const series = { ...facts('standby_required', '0+0x100'), ...facts('synchronous_standbys', '0+0x100') }
      await expectAlerts('1m', series, only('30m'))
    })

    it('alerts: no process that sends webhooks is no alert where no endpoint is enabled', async () => {
      const none = ['healthy', 'new', 'failing'].map((state) =>
        facts('webhook_endpoints', '0+0x100', `,state="${state}"`),
      )
      const series = { ...facts('instances', '0+0x100', ',role="webhooks"'), ...Object.assign({}, ...none) }
      await expectAlerts('1m', series, only('30m'))
    })

    it('alerts: a pause explains late payments, a lag and missing consumers until it ends, and not longer', async () => {
      const topic = 'payment.created'
      const series = {
        ...payments('0+60x120', '0+60x6 360+0x120'),
        ...facts('outbox_lag_seconds', '1+0x4 60+60x100', `,topic="${topic}"`),
        [paused('worker')]: '0+0x4 1+0x19 0+0x100',
        [paused('relay')]: '0+0x4 1+0x19 0+0x100',
        'cashflow_relay_queue_consumers{job="cashflow-relay",instance="relay-1"}': '2+0x4 0+0x100',
      }
      const page = (summary: string, labels = {}) => [{ labels: { severity: 'page', ...labels }, summary }]
      const explained = [LATE, 'CashflowNoConsumer', 'CashflowOutboxLag']
      await expectAlerts('1m', series, [
        ...['6m', '9m', '15m', '24m'].flatMap((at) => explained.map((alert) => ({ at, alert, firing: [] }))),
        { at: '27m', alert: 'CashflowNoConsumer', firing: page('no worker consumes the queue of payments') },
        {
          at: '27m',
          alert: 'CashflowOutboxLag',
          firing: page(`the oldest message of ${topic} has waited 23m 0s in the outbox`, { topic }),
        },
        { at: '34m', alert: LATE, firing: [] },
        { at: '36m', alert: LATE, firing: late({ '1h': '83.1%' }) },
      ])
    })
  })
