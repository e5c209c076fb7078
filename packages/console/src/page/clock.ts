import { signal } from '@preact/signals'

/** By how much the server's clock is ahead of the browser's, in milliseconds. */
let aheadMs = 0

/** The time by the server's clock, in milliseconds since 1970. It moves once a second while the page is visible. */
export const now = signal(Date.now())

/** Takes the time from an answer that was made just now. */
export function setClock(at: string): void {
  const ms = Date.parse(at)
  if (Number.isFinite(ms)) aheadMs = ms - Date.now()
  tick()
}

function tick(): void {
  if (document.visibilityState === 'visible') now.value = Date.now() + aheadMs
}

setInterval(tick, 1_000)
