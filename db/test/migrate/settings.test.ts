import { readmeSettings } from '@cashflow/testing'
import { expect } from 'chai'
import { migrateEnv } from '../../src/config.ts'

describe('settings of `migrate`', () => {
  it("migrate: has the settings of the README's table", async () => {
    const defaults: Record<string, unknown> = migrateEnv.parse({})
    const own = Object.keys(migrateEnv.shape).map((name) => [name, String(defaults[name] ?? '')])
    expect(await readmeSettings('migrate')).to.deep.equal(Object.fromEntries(own))
  })
})
