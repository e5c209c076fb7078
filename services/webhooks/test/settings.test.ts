import { documentedSettings } from '@cashflow/testing'
import { expect } from 'chai'
import { webhooksEnv } from '../src/config.ts'

describe('settings of the webhooks service', () => {
  it('settings of the webhooks service are those of the tables in docs/settings.md', async () => {
    const defaults: Record<string, unknown> = webhooksEnv.parse({})
    const own = Object.keys(webhooksEnv.shape).map((name) => [name, String(defaults[name] ?? '')])
    expect(await documentedSettings('webhooks')).to.deep.equal(Object.fromEntries(own))
  })
})
