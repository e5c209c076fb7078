import { expect } from 'chai'
import { faultBody, runBody } from '../../src/sandbox/requests.ts'

describe('requests to a sandbox', () => {
  const run = { rate: 200, amount_min: '0.01', amount_max: '9.5', currency: 'USD', simulate: 'success', seconds: 600 }

  it('sandbox reads a run, with its amounts in minor units', () => {
    expect(runBody.parse(run)).to.deep.equal({
      ...{ rate: 200, seconds: 600, currency: 'USD', simulate: 'success', minMinor: 1n, maxMinor: 950n },
    })
    expect(runBody.parse({ ...run, simulate: null }).simulate).to.equal(null)
  })

  for (const [name, value] of [
    ['rate', 201],
    ['rate', 0],
    ['rate', '5'],
    ['seconds', 601],
    ['seconds', Number.POSITIVE_INFINITY],
    ['amount_min', '0'],
    ['amount_min', '0.001'],
    ['amount_min', 1],
    ['amount_min', '1e3'],
    ['amount_max', '0.001'],
    ['amount_max', '9999999999999999'],
    ['currency', 'EUR'],
    ['simulate', 'explode'],
    ['simulate', undefined],
    ['reference', 'mine'],
  ] as const)
    it(`sandbox refuses a run with ${name} ${JSON.stringify(value) ?? 'missing'}`, () => {
      const { error } = runBody.safeParse({ ...run, [name]: value })
      expect(JSON.stringify(error?.issues)).to.contain(`"${name}"`)
    })

  it('sandbox refuses a run whose largest amount is below its smallest', () => {
    const { error } = runBody.safeParse({ ...run, amount_min: '10', amount_max: '9.99' })
    expect(error?.issues.map(({ path, message }) => [path, message])).to.deep.equal([
      [['amount_max'], 'is below amount_min'],
    ])
  })

  it('sandbox reads kills without a time, and freezes of 1 to 60 seconds', () => {
    expect(faultBody.parse({ kind: 'kill-relay' })).to.deep.equal({ kind: 'kill-relay' })
    expect(faultBody.parse({ kind: 'freeze-postgresql', seconds: 60 })).to.include({ seconds: 60 })
    for (const body of [
      { kind: 'freeze-postgresql' },
      { kind: 'freeze-postgresql', seconds: 61 },
      { kind: 'freeze-postgresql', seconds: 0 },
      { kind: 'kill-postgresql', seconds: 5 },
      { kind: 'kill-api' },
      { kind: 'kill-worker', pid: 1 },
      null,
    ])
      expect(faultBody.safeParse(body).success, JSON.stringify(body)).to.equal(false)
  })
})
