import { chmodSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { stackSettings } from '../../src/settings.ts'
import { webhookSettings } from '../../src/stack/webhook-settings.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

describe('settings of webhooks that npm start passes on', () => {
  let folder: ReturnType<typeof temporaryFolder>
  beforeEach(() => {
    folder = temporaryFolder()
  })
  afterEach(() => folder.remove())

  const settingsOf = (env: Record<string, string> = {}) =>
    webhookSettings({ stateDir: folder.path, settings: stackSettings(env), env })
  const file = () => join(folder.path, 'secrets_key')

  it('npm start makes a SECRETS_KEY once, in a file that only its user can read', () => {
    const made = settingsOf()
    expect(made).to.have.property('SECRETS_KEY').that.has.length.at.least(32)
    expect(readFileSync(file(), 'utf8')).to.equal(`${made?.SECRETS_KEY}\n`)
    expect(statSync(file()).mode & 0o777).to.equal(0o600)
    chmodSync(file(), 0o400)
    expect(settingsOf()).to.deep.equal(made)
  })

  for (const given of [{ SECRETS_KEY: 'k'.repeat(32) }, { SECRETS_KEY_FILE: '/run/secrets/secrets_key' }])
    it(`npm start makes no key where ${Object.keys(given)} is set`, () => {
      expect(settingsOf(given)).to.deep.equal({ WEBHOOK_ALLOW_PRIVATE: 'yes' })
      expect(file()).to.satisfy((path: string) => statSync(path, { throwIfNoEntry: false }) === undefined)
    })

  it('npm start allows private addresses in a sandbox, unless the user says no', () => {
    expect(settingsOf({ WEBHOOK_ALLOW_PRIVATE: 'no' })).to.include({ WEBHOOK_ALLOW_PRIVATE: 'no' })
    expect(settingsOf({ SANDBOX: 'no', SECRETS_KEY: 'k'.repeat(32) })).to.deep.equal({})
  })

  it('npm start makes no key where money moves', () => {
    expect(settingsOf({ SANDBOX: 'no' })).to.equal(undefined)
    expect(statSync(file(), { throwIfNoEntry: false })).to.equal(undefined)
  })
})
