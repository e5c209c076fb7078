import type { Tables } from '@cashflow/db'
import { listWebhookMerchants, lookForWebhooks, type WebhookLook } from '@cashflow/db/webhooks'
import type { Kysely } from 'kysely'
import { type Aside, isOwn } from './aside.ts'

/** Maximum number of merchants that a look finds. */
export const MERCHANTS_MAX = 32
export const FIRST_MERCHANT = '00000000-0000-0000-0000-000000000000'

interface LookOptions {
  readonly aside: Aside
  /** Looks at merchants behind this one first. */
  readonly after: string
}

/** Looks for work. Merchants whose events cannot be read are set aside. */
export async function look(db: Kysely<Tables>, { aside, after }: LookOptions): Promise<WebhookLook> {
  const find = () => lookForWebhooks(db, { after, merchantsMax: MERCHANTS_MAX, aside: aside.ids() })
  try {
    return await find()
  } catch (error) {
    if (!isOwn(error)) throw error
    await setUnreadableAside(db, aside, await listWebhookMerchants(db))
    return await find()
  }
}

/** Finds the merchants whose events cannot be read, by halves. */
async function setUnreadableAside(db: Kysely<Tables>, aside: Aside, among: readonly string[]): Promise<void> {
  try {
    await lookForWebhooks(db, { after: FIRST_MERCHANT, merchantsMax: among.length, aside: aside.ids(), among })
  } catch (error) {
    if (!isOwn(error)) throw error
    const [only, ...others] = among
    if (only !== undefined && others.length === 0) return aside.add(only, error)
    const half = Math.ceil(among.length / 2)
    await setUnreadableAside(db, aside, among.slice(0, half))
    await setUnreadableAside(db, aside, among.slice(half))
  }
}
