import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium'

/**
 * Starts headless Chromium: the one that `CHROMIUM` names, or /usr/bin/chromium.
 *
 * @throws Error that says how to get one
 */
export async function openBrowser(): Promise<Browser> {
  if (!existsSync(CHROMIUM))
    throw new Error(`There is no ${CHROMIUM}. Install Chromium, or set CHROMIUM to the path of yours.`)
  return await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      // It opens the pages of the tests only. For root there is no sandbox.
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
  })
}
