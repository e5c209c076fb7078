import { setTimeout as sleep } from 'node:timers/promises'
import { get, showsSomething } from './payment-api.ts'
import { type Draft, idOf } from './wish.ts'

const AT_ONCE = 16
const RETRY_MS = 500

/**
 * Looks at each payment through each API, when all is over. Nothing is in the way any more: no answer, or 503, is tried
 * again for `lastLookMs`, and then is the answer.
 */
export async function lookAtAll(
  wishes: readonly Draft[],
  apiUrls: readonly string[],
  { lastLookMs }: { lastLookMs: number },
): Promise<void> {
  const silent = new Set<string>()

  async function look(wish: Draft, id: string, apiUrl: string): Promise<void> {
    const giveUpAt = performance.now() + lastLookMs
    // One that nobody gets an answer from is not waited for again with each payment.
    while (!silent.has(apiUrl)) {
      const view = await get(apiUrl, id, { isLast: true })
      const isOver = performance.now() >= giveUpAt
      if (showsSomething(view) || isOver) wish.views.push(view)
      if (showsSomething(view)) return
      if (isOver) silent.add(apiUrl)
      else await sleep(RETRY_MS)
    }
  }

  const left = wishes.values()
  const work = async () => {
    // Shared: each takes the next one that nobody has taken.
    for (const wish of left) {
      const id = idOf(wish)
      if (id !== undefined) for (const apiUrl of apiUrls) await look(wish, id, apiUrl)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}
