import { documentedSettings } from '@cashflow/testing'
import { expect } from 'chai'
import { doctorEnv } from '../src/doctor/settings.ts'
import { operatorEnv } from '../src/settings.ts'

describe('settings of `cashflow`', () => {
  it('cashflow: has the settings of the table in docs/settings.md', async () => {
    const defaults: Record<string, unknown> = { ...operatorEnv.parse({}), ...doctorEnv.parse({}) }
    const own = Object.keys({ ...operatorEnv.shape, ...doctorEnv.shape }).map((name) => [
      name,
      String(defaults[name] ?? ''),
    ])
    expect(await documentedSettings('cashflow')).to.deep.equal(Object.fromEntries(own))
  })
})
