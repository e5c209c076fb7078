import { documentedSettings } from '@cashflow/testing'
import { expect } from 'chai'
import { migrateEnv } from '../../src/config.ts'

describe('settings of `migrate`', () => {
  it('migrate: has the settings of the table in docs/settings.md', async () => {
    const defaults: Record<string, unknown> = migrateEnv.parse({})
    const own = Object.keys(migrateEnv.shape).map((name) => [name, String(defaults[name] ?? '')])
    expect(await documentedSettings('migrate')).to.deep.equal(Object.fromEntries(own))
  })
})
