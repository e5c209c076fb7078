import { randomBytes } from 'node:crypto'
import { createDatabase } from '@cashflow/db'
import { createTestDatabase, nullLogger, startPipeline, startTcpProxy } from '@cashflow/testing'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { openBrowser } from './open-browser.ts'

export type Rig = Awaited<ReturnType<typeof startRig>>

const WIDE = { width: 1440, height: 900 }

/** Starts the services as processes with the console of the api, and Chromium. The api reaches PostgreSQL through a proxy. */
export async function startRig(
  sizes: Parameters<typeof startPipeline>[0] = { api: 1, relay: 1, worker: 1 },
  settings: Readonly<Record<string, string>> = {},
) {
  const token = randomBytes(32).toString('hex')
  const database = await createTestDatabase()
  const proxy = await startTcpProxy(database.url)
  const console = { CONSOLE_PORT: '0', CONSOLE_TOKEN: token }
  const pipeline = await startPipeline({ ...sizes, api: 0 }, { ...console, ...settings }, { database })
  const api = await pipeline.start('api', { DATABASE_URL: proxy.url })
  const url = String((await api.logged('console is listening')).url)
  const apiUrl = String((await api.logged('listening')).url)
  const db = createDatabase({ url: database.url, applicationName: 'test', poolMax: 3, logger: nullLogger })
  const browser = await openBrowser()
  /** What pages have reported: errors of scripts, and what the content security policy has blocked. */
  const faults: string[] = []

  async function newPage(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: WIDE, ...options })
    const page = await context.newPage()
    page.on('pageerror', (error) => faults.push(error.message))
    page.on('console', (message) => {
      if (/Content Security Policy|Uncaught/.test(message.text())) faults.push(message.text())
    })
    page.on('dialog', (dialog) => {
      faults.push(`a dialog opened: ${dialog.message()}`)
      void dialog.dismiss()
    })
    return page
  }

  return {
    ...{ pipeline, proxy, db, url, apiUrl, token, faults, newPage, browser },
    /** Opens a view of the console, logged in, in a browser context of its own. */
    async open(path = '/', options: BrowserContextOptions = {}): Promise<Page> {
      const page = await newPage(options)
      await page.goto(`${url}/#token=${token}`)
      await page.getByText('Live', { exact: true }).waitFor()
      if (path !== '/') await page.goto(url + path)
      return page
    },
    /** Posts a payment, and returns its id. */
    async pay(reference: string): Promise<string> {
      return (await pipeline.post(reference)).id
    },
    async stop() {
      await browser.close()
      await db.destroy()
      await pipeline.stop()
      await proxy.stop()
    },
  }
}
