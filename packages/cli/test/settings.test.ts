import { databaseEnv } from '@cashflow/runtime'
import { documentedSettings } from '@cashflow/testing'
import { expect } from 'chai'
import * as z from 'zod'

describe('settings of `cashflow`', () => {
  it('cashflow: has the settings of the table in docs/settings.md', async () => {
    const env = z.object(databaseEnv)
    const defaults: Record<string, unknown> = env.parse({})
    const own = Object.keys(env.shape).map((name) => [name, String(defaults[name] ?? '')])
    expect(await documentedSettings('cashflow')).to.deep.equal(Object.fromEntries(own))
  })
})
