import { readmeSettings } from '@cashflow/testing'
import { expect } from 'chai'
import { workerConfig, workerEnv } from '../src/config.ts'

describe("the worker's settings", () => {
  it('are those of the table in the README', async () => {
    const defaults: Record<string, unknown> = workerEnv.parse({})
    const own = Object.keys(workerEnv.shape).map((name) => [name, String(defaults[name] ?? '')])
    expect(await readmeSettings('worker')).to.deep.equal(Object.fromEntries(own))
  })

  for (const rate of ['0', '1', '0.7', '.25', '1.0', '0.000001']) {
    it(`take ${rate} as a rate`, () => {
      expect(workerConfig({ PROVIDER_SUCCESS_RATE: rate }).providerSuccessRate).to.equal(Number(rate))
    })
  }

  for (const [name, value] of [
    ['PROVIDER_SUCCESS_RATE', '1.1'],
    ['PROVIDER_SUCCESS_RATE', '-0.1'],
    ['PROVIDER_SUCCESS_RATE', 'most'],
    ['PROVIDER_DELAY_MS', '10000'],
    ['WORKER_PREFETCH', '0'],
  ] as const) {
    it(`refuse ${name}=${value}`, () => {
      expect(() => workerConfig({ [name]: value })).to.throw(name)
    })
  }
})
