import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parsePeppers } from '@cashflow/db'
import { createKey } from '@cashflow/db/operator'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { expect } from 'chai'
import type { Page } from 'playwright-core'
import { storeEndpoint, storeFailedDelivery, storeParked, storePayment } from '../test/stored.ts'
import { type Rig, startRig } from './start-rig.ts'

const NARROW = { width: 320, height: 640 }

interface Violation {
  readonly id: string
  readonly nodes: readonly { readonly html: string }[]
}

describe('accessibility of the console', () => {
  let rig: Rig
  let axe: string
  let paths: string[]
  before(async () => {
    axe = await readFile(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
    const pepper = randomBytes(32).toString('hex')
    rig = await startRig({ api: 1, relay: 1, worker: 0 }, { KEY_PEPPER: pepper })
    const { id, letter } = await storeParked(rig.db, 'HTTP 503')
    for (let n = 0; n < 12; n++) await storePayment(rig.db)
    const endpoint = await storeEndpoint(rig.db, `https://shop.example/${'webhooks/'.repeat(12)}`)
    await storeFailedDelivery(rig.db, endpoint, '<h1>no</h1>')
    await createKey(rig.db, {
      ...{ merchantId: DEFAULT_MERCHANT_ID, name: 'shop', scopes: ['payments:read', 'webhooks:manage'], sandbox: true },
      ...{ expires: undefined, pepper: parsePeppers(pepper)[0], by: { actor: 'test', via: 'test' } },
    })
    paths = ['/', '/payments', `/payments/${id}`, '/dead-letters', `/dead-letters/${letter}`, '/audit', '/none']
    paths.push('/webhooks', `/webhooks/${endpoint}`, '/merchants', `/merchants/${DEFAULT_MERCHANT_ID}`)
  })
  after(() => rig.stop())

  /** Shows a view until it has loaded. */
  async function show(page: Page, path: string): Promise<void> {
    await page.goto(rig.url + path)
    await page.getByRole('heading', { level: 1 }).waitFor()
    await page.locator('[aria-busy="true"]').waitFor({ state: 'detached' })
  }

  const violations = async (page: Page): Promise<string[]> => {
    await page.evaluate(axe)
    const found = (await page.evaluate('axe.run().then(({ violations }) => violations)')) as readonly Violation[]
    return found.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))
  }

  for (const colorScheme of ['light', 'dark'] as const)
    it(`console browser: axe finds nothing on any view, ${colorScheme}`, async () => {
      const page = await rig.open('/', { colorScheme })
      for (const path of paths) {
        await show(page, path)
        expect(await violations(page), path).to.deep.equal([])
      }
      const login = await rig.newPage({ colorScheme })
      await show(login, '/')
      expect(await violations(login), 'login').to.deep.equal([])
    })

  it('console browser: every view fits a screen of 320 pixels', async () => {
    const page = await rig.open('/', { viewport: NARROW })
    for (const path of paths) {
      await show(page, path)
      expect(await page.evaluate('document.documentElement.scrollWidth'), path).to.be.at.most(NARROW.width)
    }
  })
})
