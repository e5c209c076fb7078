import { Registry } from '@prometheus-io/client'
import { expect } from 'chai'
import { registerAttempts, registerDisabled, registerFanOut } from '../src/metrics.ts'

describe('metrics of the webhooks service', () => {
  const lines = async (registry: Registry, pattern: RegExp) => (await registry.metrics()).match(pattern) ?? []

  it('metrics of webhooks: attempts are counted by outcome, and each outcome is shown from the start', async () => {
    const registry = new Registry()
    const note = registerAttempts(registry)
    const delivery = { eventAt: new Date(Date.now() - 2_000), attempts: 0, isReplay: false }
    note(delivery, { durationMs: 120, outcome: 'succeeded' })
    note({ ...delivery, attempts: 3 }, { durationMs: 20_000, outcome: 'failed' })
    expect(await lines(registry, /^cashflow_webhooks_attempts_total\{.*$/gm)).to.deep.equal([
      'cashflow_webhooks_attempts_total{outcome="succeeded"} 1',
      'cashflow_webhooks_attempts_total{outcome="failed"} 1',
      'cashflow_webhooks_attempts_total{outcome="expired"} 0',
    ])
    expect(await lines(registry, /^cashflow_webhooks_attempt_duration_seconds_count\{.*$/gm)).to.deep.equal([
      'cashflow_webhooks_attempt_duration_seconds_count{outcome="succeeded"} 1',
      'cashflow_webhooks_attempt_duration_seconds_count{outcome="failed"} 1',
      'cashflow_webhooks_attempt_duration_seconds_count{outcome="expired"} 0',
    ])
  })

  it('metrics of webhooks: the age of an event counts for a first attempt that succeeds, and for no replay', async () => {
    const registry = new Registry()
    const note = registerAttempts(registry)
    const first = { eventAt: new Date(Date.now() - 2_000), attempts: 0, isReplay: false }
    const succeeded = { durationMs: 10, outcome: 'succeeded' } as const
    note(first, succeeded)
    note({ ...first, eventAt: new Date(Date.now() + 60_000) }, succeeded)
    note({ ...first, attempts: 1 }, succeeded)
    note({ ...first, isReplay: true }, succeeded)
    note(first, { durationMs: 10, outcome: 'failed' })
    expect(
      await lines(registry, /^cashflow_webhooks_created_to_delivered_seconds_(count|bucket\{le="1"\}) .*$/gm),
    ).to.eql([
      'cashflow_webhooks_created_to_delivered_seconds_bucket{le="1"} 1',
      'cashflow_webhooks_created_to_delivered_seconds_count 2',
    ])
  })

  it('metrics of webhooks: deliveries that were made, and endpoints that were disabled by reason', async () => {
    const registry = new Registry()
    const [onFannedOut, onDisabled] = [registerFanOut(registry), registerDisabled(registry)]
    onFannedOut({ deliveries: 3 })
    onFannedOut({ deliveries: 0 })
    onDisabled('gone')
    expect(await lines(registry, /^cashflow_webhooks_(fanned_out|endpoints_disabled)_total.*$/gm)).to.deep.equal([
      'cashflow_webhooks_fanned_out_total 3',
      'cashflow_webhooks_endpoints_disabled_total{reason="failing"} 0',
      'cashflow_webhooks_endpoints_disabled_total{reason="gone"} 1',
    ])
  })
})
