import { createHmac } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { createDatabase } from './database.ts'
import { createLogger, loadSettings } from './settings.ts'

const DEADLINE_MS = 20_000

const settings = loadSettings()
const logger = createLogger('webhooks')
const db = createDatabase(settings.DATABASE_URL, 1)
const stopping = new AbortController()
process.once('SIGTERM', () => stopping.abort())

logger.info('ready')
while (!stopping.signal.aborted) {
  const sent = await sendOnce()
  if (sent === 0) await sleep(settings.TEXTBOOK_POLL_MS)
}
await db.destroy()

/** Sends what is due, one webhook after the other, in their order. @returns their number */
async function sendOnce(): Promise<number> {
  const due = await db
    .selectFrom('webhook_deliveries as d')
    .innerJoin('webhook_endpoints as e', 'e.id', 'd.endpoint_id')
    .select(['d.id', 'd.body', 'd.attempts', 'e.url', 'e.secret'])
    .where('d.delivered_at', 'is', null)
    .where('d.due_at', '<=', sql<Date>`now()`)
    .orderBy('d.id')
    .limit(settings.TEXTBOOK_BATCH)
    .execute()
  for (const { id, body, attempts, url, secret } of due) {
    if (stopping.signal.aborted) break
    const isDelivered = await post(url, JSON.stringify(body), { id: body.id, secret })
    const dueAt = new Date(Date.now() + 5_000 * 2 ** attempts)
    await db
      .updateTable('webhook_deliveries')
      .set(isDelivered ? { delivered_at: new Date() } : { attempts: attempts + 1, due_at: dueAt })
      .where('id', '=', id)
      .execute()
  }
  return due.length
}

async function post(url: string, body: string, { id, secret }: { id: string; secret: string }): Promise<boolean> {
  const signal = AbortSignal.any([stopping.signal, AbortSignal.timeout(DEADLINE_MS)])
  const signature = createHmac('sha256', secret).update(`${id}.${body}`).digest('base64')
  const headers = { 'content-type': 'application/json', 'webhook-id': id, 'webhook-signature': signature }
  try {
    const response = await fetch(url, { method: 'POST', headers, body, signal })
    await response.text()
    return response.ok
  } catch {
    return false
  }
}
