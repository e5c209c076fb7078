import { PUBLIC_SECRETS_KEY } from '@cashflow/runtime'
import { expect } from 'chai'
import { webhooksConfig } from '../src/config.ts'

const SECRETS_KEY = 'k'.repeat(32)

describe('configuration of the webhooks service', () => {
  it('the webhooks service has defaults for everything but SECRETS_KEY, and its configuration is frozen', () => {
    const config = webhooksConfig({ SECRETS_KEY })
    expect(config).to.deep.include({ sandbox: true, retentionDays: 30, attemptsMax: 256, windowMax: 32 })
    expect(config.addressPolicy).to.deep.equal({ allowPrivate: false })
    expect(config.sealingKeys).to.have.lengthOf(1)
    expect(config).to.satisfy(Object.isFrozen)
  })

  it('the webhooks service does not start without SECRETS_KEY, and says so in one line', () => {
    for (const env of [{}, { SECRETS_KEY: '' }])
      expect(() => webhooksConfig(env)).to.throw(
        /^These settings are not usable:\n {2}SECRETS_KEY: is needed to sign webhooks: [^\n]+$/,
      )
  })

  for (const [name, values] of Object.entries({
    WEBHOOK_RETENTION: ['0', '3651', '30d'],
    WEBHOOK_CONCURRENCY: ['3', '4097', 'all'],
    WEBHOOK_WINDOW: ['0', '1025', '-1'],
    WEBHOOK_ALLOW_PRIVATE: ['true'],
    SECRETS_KEY: ['too-short'],
  }))
    it(`the webhooks service refuses ${name}=${values.join(', ')}`, () => {
      for (const value of values)
        expect(() => webhooksConfig({ SECRETS_KEY, [name]: value }), value).to.throw(new RegExp(`\n  ${name}: must `))
    })

  it('the webhooks service allows private addresses in a sandbox only', () => {
    const WEBHOOK_ALLOW_PRIVATE = 'yes'
    expect(webhooksConfig({ SECRETS_KEY, WEBHOOK_ALLOW_PRIVATE }).addressPolicy.allowPrivate).to.equal(true)
    for (const live of [{ SANDBOX: 'no' }, { APP_ENV: 'production' }])
      expect(() => webhooksConfig({ SECRETS_KEY, WEBHOOK_ALLOW_PRIVATE, ...live })).to.throw(
        'WEBHOOK_ALLOW_PRIVATE: must be no with SANDBOX=no',
      )
  })

  it('the webhooks service refuses the public key of docker-compose.yml where money moves', () => {
    expect(webhooksConfig({ SECRETS_KEY: PUBLIC_SECRETS_KEY }).sandbox).to.equal(true)
    for (const key of [PUBLIC_SECRETS_KEY, `${SECRETS_KEY}, ${PUBLIC_SECRETS_KEY}`])
      expect(() => webhooksConfig({ SECRETS_KEY: key, SANDBOX: 'no' })).to.throw(
        'SECRETS_KEY: must be a key of your own with SANDBOX=no',
      )
  })
})
