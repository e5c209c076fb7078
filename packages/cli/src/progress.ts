import { visible } from '@cashflow/runtime'

const REDRAW_MS = 100
const LINE_EVERY_MS = 5_000

/** How far an act has come that takes long. */
export interface Progress {
  /** Shows a text in place of the last one. It may be called as often as there is something new. */
  report(text: string): void
  /** Removes the text from the terminal. */
  clear(): void
}

/** Shows progress in one line of a terminal. Otherwise it writes a line every 5 seconds. */
export function createProgress(stream: NodeJS.WriteStream, now = () => performance.now()): Progress {
  let isShown = false
  let nextAt = stream.isTTY ? 0 : now() + LINE_EVERY_MS
  return {
    report(text) {
      if (now() < nextAt) return
      nextAt = now() + (stream.isTTY ? REDRAW_MS : LINE_EVERY_MS)
      if (!stream.isTTY) return void stream.write(`${visible(text)}\n`)
      isShown = true
      stream.write(`\r${visible(text).slice(0, stream.columns - 1)}\u001b[K`)
    },
    clear() {
      if (isShown) stream.write('\r\u001b[K')
      isShown = false
    },
  }
}
