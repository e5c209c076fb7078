import type { Link } from './network.ts'
import { cutAfter, hold } from './toxic.ts'

/** Requests, recognised by a text in them, whose answers are held or lost. */
export function createAnswers() {
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
    holdTo(text: string) {
      holding = createWatch(text)
    },
    loseTo(text: string, times: number) {
      losing = createWatch(text, times)
    },
    /** Called before these bytes pass to the server. */
    onRequest(link: Link, bytes: Buffer) {
      if (holding?.(link, bytes)) {
        held += 1
        link.toClient.afflict('hold', hold)
      }
      if (!doomed.has(link) && losing?.(link, bytes)) {
        doomed.add(link)
        link.toClient.afflict('lose', cutAfter(0))
      }
    },
    /** Called after a toxic has cut the link. */
    onCut(link: Link) {
      if (doomed.delete(link)) lost += 1
    },
    /** Holds and loses no further answers. */
    forget() {
      holding = undefined
      losing = undefined
      doomed.clear()
    },
  }
}

/** Returns whether the text ends within these bytes, which are the stream's next ones. */
type Watch = (stream: object, bytes: Buffer) => boolean

/** Finds the text `times` times, also across pieces. Bytes that passed before the watch was created do not count. */
function createWatch(text: string, times = 1): Watch {
  const wanted = Buffer.from(text)
  const tails = new WeakMap<object, Buffer>()
  let left = times
  return (stream, bytes) => {
    if (left === 0) return false
    const seen = Buffer.concat([tails.get(stream) ?? Buffer.alloc(0), bytes])
    const at = seen.indexOf(wanted)
    // The tail is shorter than the text, so that a match is not found again.
    tails.set(stream, seen.subarray(Math.max(at + 1, seen.length - wanted.length + 1)))
    if (at === -1) return false
    left -= 1
    return true
  }
}
