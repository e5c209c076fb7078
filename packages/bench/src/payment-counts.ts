import { setTimeout as sleep } from 'node:timers/promises'
import { defined } from '@cashflow/async'
import type { Contender } from './contender.ts'
import type { Place } from './place.ts'

const POLL_MS = 100

/** Counts the unpublished messages. The product deletes published messages, the textbook marks them. */
const UNPUBLISHED: Record<Contender['kind'], string> = {
  product: 'select count(*)::int as count from outbox_messages',
  textbook: 'select count(*)::int as count from outbox where published_at is null',
}

/** Counts the payments that are PENDING. */
export function countPending(place: Place): Promise<number> {
  return count(place, `select count(*)::int as count from payments where status = 'PENDING'`)
}

/** Counts the payments that are SUCCESS or FAILED. */
export function countSettled(place: Place): Promise<number> {
  return count(place, `select count(*)::int as count from payments where status <> 'PENDING'`)
}

/** Resolves when every payment is settled and every message is published. */
export async function untilDrained(place: Place, { kind }: Contender, signal: AbortSignal): Promise<void> {
  while ((await countPending(place)) > 0 || (await count(place, UNPUBLISHED[kind])) > 0)
    await sleep(POLL_MS, undefined, { signal })
}

async function count(place: Place, text: string): Promise<number> {
  const [row] = await place.query<{ count: number }>(text)
  return defined(row, 'row of a count').count
}
