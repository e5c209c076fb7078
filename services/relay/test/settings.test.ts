import { documentedSettings } from '@cashflow/testing'
import { expect } from 'chai'
import { relayEnv } from '../src/config.ts'

describe('settings of the relay', () => {
  it('settings of the relay are those of the tables in docs/settings.md', async () => {
    const defaults: Record<string, unknown> = relayEnv.parse({})
    const own = Object.keys(relayEnv.shape).map((name) => [name, String(defaults[name] ?? '')])
    expect(await documentedSettings('relay')).to.deep.equal(Object.fromEntries(own))
  })
})
