import type { Link } from './link.ts'
import { cutAfter, hold } from './toxic.ts'
import { createWatch, type Watch } from './watch.ts'

/** Requests by their text, whose answers are held or lost. */
export interface Answers {
  readonly held: number
  readonly lost: number
  holdTo(text: string): void
  loseTo(text: string, times: number): void
  /** Before these bytes pass to the server. */
  onRequest(link: Link, bytes: Buffer): void
  /** After a link was cut before its next answer. */
  onCut(link: Link): void
  /** Forgets what was to be held or lost. */
  forget(): void
}

export function createAnswers(): Answers {
  let [held, lost] = [0, 0]
  let holding: Watch | undefined
  let losing: Watch | undefined
  const doomed = new Set<Link>()
  return {
    get held() {
      return held
    },
    get lost() {
      return lost
    },
    holdTo(text) {
      holding = createWatch(text)
    },
    loseTo(text, times) {
      losing = createWatch(text, times)
    },
    onRequest(link, bytes) {
      if (holding?.findIn(link, bytes)) {
        held += 1
        link.toClient.afflict('hold', hold)
      }
      if (!doomed.has(link) && losing?.findIn(link, bytes)) {
        doomed.add(link)
        link.toClient.afflict('lose', cutAfter(0))
      }
    },
    onCut(link) {
      if (doomed.delete(link)) lost += 1
    },
    forget() {
      holding = undefined
      losing = undefined
      doomed.clear()
    },
  }
}
