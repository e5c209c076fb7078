import { styleText } from 'node:util'
import { pause } from '@cashflow/async'
import { type Batch, type Payment, readBatch } from './payments.ts'
import type { Screen } from './screen.ts'

const LOOK_AGAIN_MS = 100

interface Watching {
  readonly screen: Screen
  readonly signal: AbortSignal
}

/**
 * Shows the payments of a batch until all are SUCCESS.
 *
 * @param isOrphan whether a payment's worker is dead and its lease still runs
 * @returns the time from their POST to the last SUCCESS, in milliseconds
 * @throws Error if one is FAILED
 */
export async function watchBatch(
  { screen, signal }: Watching,
  api: string,
  batch: Batch,
  isOrphan: (payment: Payment) => boolean = () => false,
): Promise<number> {
  const settledMs = new Map<string, number>()
  for (;;) {
    const payments = await readBatch(api, batch, signal)
    const sinceMs = performance.now() - batch.from
    for (const { id, reference, status } of payments) {
      if (status === 'FAILED') throw new Error(`payment ${reference} is FAILED, although the provider approves all`)
      if (status === 'SUCCESS' && !settledMs.has(id)) settledMs.set(id, sinceMs)
    }
    const rows = payments.map((payment) => row(payment, settledMs.get(payment.id), isOrphan(payment)))
    const orphans = payments.filter((payment) => payment.status === 'PENDING' && isOrphan(payment)).length
    screen.live(rows, summary(settledMs, payments.length, orphans))
    if (settledMs.size === payments.length) return sinceMs
    await pause(LOOK_AGAIN_MS, signal)
    signal.throwIfAborted()
  }
}

const WAITING: Readonly<Record<string, string>> = {
  queue: 'on its way to a worker',
  provider: 'a worker has sent it to the provider',
  worker: 'its lease has ended, on its way to another worker',
}

function row(payment: Payment, settledMs: number | undefined, orphan: boolean): string {
  const { reference, waiting_for = '', next_action_at = '' } = payment
  if (settledMs !== undefined)
    return `  ${reference}  ${styleText('green', 'SUCCESS')}  ${(settledMs / 1_000).toFixed(1)} s after its POST`
  const leftS = Math.max(0, Math.ceil((Date.parse(next_action_at) - Date.now()) / 1_000))
  const leased = `its worker is dead, its lease ends in ${leftS} s`
  const text = orphan && waiting_for === 'provider' ? leased : (WAITING[waiting_for] ?? waiting_for)
  return `  ${reference}  ${styleText('yellow', 'PENDING')}  ${text}`
}

/** It changes only when a payment does: where no block can be drawn, each summary is a line. */
function summary(settledMs: ReadonlyMap<string, number>, count: number, orphans: number): string {
  const last = Math.max(0, ...settledMs.values()) / 1_000
  const settled = `  ${String(settledMs.size).padStart(2)} of ${count} are SUCCESS`
  const when = settledMs.size > 0 ? `, ${last.toFixed(1)} s after their POST` : ''
  return `${settled}${when}${orphans > 0 ? `; ${orphans} leased to the dead worker` : ''}`
}
