import type { Link } from './network.ts'
import { cutAfter, hold } from './toxic.ts'

/** Requests, recognised by a text in them, whose answers are held or lost. */
export interface Answers {
  readonly held: number
  readonly lost: number
  holdTo(text: string): void
  loseTo(text: string, times: number): void
  /** Called before these bytes pass to the server. */
  onRequest(link: Link, bytes: Buffer): void
  /** Called after a toxic has cut the link. */
  onCut(link: Link): void
  /** Holds and loses no further answers. */
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

/** Searches streams for a text. */
interface Watch {
  /** Whether the text ends within these bytes, which are the stream's next ones. */
  findIn(stream: object, bytes: Buffer): boolean
}

/** Finds the text `times` times, also across pieces. Bytes that passed before the watch was created do not count. */
function createWatch(text: string, times = 1): Watch {
  const wanted = Buffer.from(text)
  const tails = new WeakMap<object, Buffer>()
  let left = times
  return {
    findIn(stream, bytes) {
      if (left === 0) return false
      const seen = Buffer.concat([tails.get(stream) ?? Buffer.alloc(0), bytes])
      const at = seen.indexOf(wanted)
      // The tail is shorter than the text, so that a match is not found again.
      tails.set(stream, seen.subarray(Math.max(at + 1, seen.length - wanted.length + 1)))
      if (at === -1) return false
      left -= 1
      return true
    },
  }
}
