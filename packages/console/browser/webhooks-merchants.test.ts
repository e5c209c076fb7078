import { randomBytes, randomUUID } from 'node:crypto'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import type { Locator, Page } from 'playwright-core'
import { storeEndpoint, storeFailedDelivery } from '../test/stored.ts'
import { type Rig, startRig } from './start-rig.ts'

describe('webhooks and merchants in a browser', () => {
  let rig: Rig
  before(async () => {
    const settings = { AUTH: 'api-key', KEY_PEPPER: randomBytes(32).toString('hex') }
    rig = await startRig({ api: 1, relay: 0, worker: 0 }, settings)
  })
  after(() => rig.stop())
  afterEach(() => expect(rig.faults.splice(0), 'errors of the page').to.deep.equal([]))

  /** Opens a dialog, gives the reason, and confirms. */
  async function act(page: Page, button: string, confirm: string): Promise<void> {
    await page.getByRole('button', { name: button }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Reason').fill('asked by the merchant')
    await dialog.getByRole('button', { name: confirm }).click()
    await dialog.waitFor({ state: 'detached' })
  }

  async function createMerchant(page: Page, name: string): Promise<void> {
    await page.getByRole('button', { name: 'New merchant…' }).click()
    await page.getByLabel('Name', { exact: true }).fill(name)
    await page.getByRole('button', { name: 'Create the merchant' }).click()
    await page.getByRole('heading', { level: 1, name }).waitFor()
  }

  const secretIn = async (dialog: Locator) => (await dialog.locator('code').textContent()) ?? ''

  async function createKey(page: Page, name: string): Promise<string> {
    await page.getByRole('button', { name: 'New key…' }).click()
    const form = page.getByRole('dialog', { name: 'New key' })
    await form.getByLabel('Name').fill(name)
    await form.getByLabel('webhooks:manage').check()
    await form.getByLabel(/^Expires/).fill('30')
    await form.getByRole('button', { name: 'Create the key' }).click()
    const shown = page.getByRole('dialog', { name: 'The new key' })
    await shown.getByText('cannot be seen again').waitFor()
    return await secretIn(shown)
  }

  it('console browser: an operator creates a merchant and a key, sees its secret once, and revokes it', async () => {
    const page = await rig.open('/merchants')
    const name = `Shop ${randomUUID()}`
    await createMerchant(page, name)
    const secret = await createKey(page, 'till 1')
    expect(secret).to.match(/^cf_test_\w{40,}$/)
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    const row = page.getByRole('row', { name: /till 1/ })
    await row.getByText('Active').waitFor()
    await row.getByText('webhooks:manage').waitFor()
    const isKept = () =>
      page.evaluate('document.documentElement.outerHTML + location.href + JSON.stringify(history.state)')
    expect(await isKept(), 'after the dialog').to.not.include(secret)
    await page.reload()
    await row.getByText('Active').waitFor()
    expect(await isKept(), 'after a reload').to.not.include(secret)
    const headers = { Authorization: `Bearer ${secret}` }
    const status = async () => (await fetch(`${rig.apiUrl}/api/v1/payments`, { headers })).status
    expect(await status(), 'with the key').to.equal(200)
    await row.getByRole('button', { name: 'Revoke… till 1' }).click()
    await page.getByRole('dialog').getByText('It is forever').waitFor()
    await page.getByRole('button', { name: 'Revoke forever' }).click()
    await row.getByText('Revoked', { exact: true }).first().waitFor()
    await eventually(async () => expect(await status(), 'with the revoked key').to.equal(401))
    expect(await row.getByRole('button').count(), 'acts on a revoked key').to.equal(0)
  })

  it('console browser: a rotated key names its successor, whose secret is shown once', async () => {
    const page = await rig.open('/merchants')
    await createMerchant(page, `Shop ${randomUUID()}`)
    const former = await createKey(page, 'till 2')
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Rotate… till 2' }).click()
    await page.getByLabel('Hours for which both keys are valid').fill('2')
    await page.getByRole('button', { name: 'Rotate', exact: true }).click()
    const secret = await secretIn(page.getByRole('dialog', { name: 'The new key' }))
    expect(secret).to.not.equal(former)
    await page.keyboard.press('Escape')
    await page.getByText(`Replaced by ${secret.split('_')[2]}`).waitFor()
  })

  it('console browser: a search finds merchants by the beginning of their name', async () => {
    const page = await rig.open('/merchants')
    const name = `Kiosk ${randomUUID()}`
    await createMerchant(page, name)
    await page.getByRole('link', { name: 'Merchants' }).first().click()
    await page.getByRole('searchbox').fill(name.slice(0, 20))
    await page.getByRole('searchbox').press('Enter')
    await eventually(async () => expect(await page.getByRole('row').count()).to.equal(2))
    await page.getByRole('link', { name }).waitFor()
  })

  it('console browser: an operator disables an endpoint, finds it by its state, and enables it', async () => {
    const url = `https://shop.example/${randomUUID()}`
    const id = await storeEndpoint(rig.db, url)
    const page = await rig.open(`/webhooks/${id}`)
    await act(page, 'Disable…', 'Disable')
    await page.getByText('By request').waitFor()
    await page.goto(`${rig.url}/webhooks`)
    await page.getByLabel('State').selectOption('disabled')
    await page
      .getByRole('row', { name: new RegExp(url) })
      .getByRole('link')
      .click()
    await act(page, 'Enable…', 'Enable')
    await page.getByText('Enabled', { exact: true }).waitFor()
    const acts = rig.db.selectFrom('operator_actions').select('action').where('target', '=', id).orderBy('id')
    expect((await acts.execute()).map(({ action }) => action)).to.deep.equal(['webhooks disable', 'webhooks enable'])
  })

  it('console browser: a replay begins after a time, and a second one is refused with the reason', async () => {
    const id = await storeEndpoint(rig.db, 'https://shop.example/replayed')
    const page = await rig.open(`/webhooks/${id}`)
    const dialog = page.getByRole('dialog', { name: 'Replay events' })
    const replay = async (after: string) => {
      await page.getByRole('button', { name: 'Replay…' }).click()
      await dialog.getByLabel(/^Id of the event/).fill(after)
      await dialog.getByLabel('Reason').fill('asked by the merchant')
      await dialog.getByRole('button', { name: 'Replay' }).click()
    }
    await replay('2026-01-01T00:00:00Z')
    await page.getByText('0 replayed so far').waitFor()
    await replay('2026-01-02T00:00:00Z')
    await dialog.getByRole('alert').getByText('A replay to this endpoint is not finished.').waitFor()
  })

  it('console browser: the attempts of a delivery show the answer as text, and its event is sent again', async () => {
    const id = await storeEndpoint(rig.db, 'https://shop.example/failing')
    const payment = await storeFailedDelivery(rig.db, id, '<img src=x onerror=alert(1)>')
    const page = await rig.open(`/webhooks/${id}`)
    await page.getByRole('link', { name: payment }).waitFor()
    await page.getByText('0 of 1').waitFor()
    await page.getByRole('button', { name: /^Attempts of delivery/ }).click()
    const attempts = page.getByRole('list', { name: /^Attempts of delivery/ })
    await attempts.getByText('<img src=x onerror=alert(1)>').waitFor()
    await attempts.getByText('1.3 s').waitFor()
    await act(page, 'Redeliver… delivery', 'Redeliver')
    await page.getByText('The event is sent again.').waitFor()
    await page.getByLabel('Status').selectOption('succeeded')
    await page.getByText('No delivery is found').waitFor()
  })

  it('console browser: the report of a check appears when it is finished', async () => {
    const id = await storeEndpoint(rig.db, 'https://shop.example/checked')
    const page = await rig.open(`/webhooks/${id}`)
    await act(page, 'Ping…', 'Ping')
    await page.getByText('Running').waitFor()
    await rig.db
      .updateTable('webhook_checks')
      .set({ finished_at: new Date(), report: JSON.stringify({ outcome: 'a sound receiver' }) })
      .where('endpoint_id', '=', id)
      .execute()
    await page.getByText('a sound receiver').waitFor()
    await page.reload()
    await page.getByText('a sound receiver').waitFor()
  })
})
