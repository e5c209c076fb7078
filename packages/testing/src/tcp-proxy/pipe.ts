import type { Socket } from 'node:net'
import { judge, type Toxic } from './toxic.ts'

/** One direction of a connection. */
export interface Pipe {
  /** Puts a toxic in, in the place of the one of this name. */
  afflict(name: string, toxic: Toxic): void
  /** Takes all toxics out: what waits passes at once. */
  heal(): void
}

export interface PipeOptions {
  /** Before these bytes pass. */
  onPass?(bytes: Buffer): void
  /** After a toxic has cut the connection. */
  onCut?(): void
  /** From 0 to 1, for each piece. */
  random(): number
}

type Piece = { content: Buffer | 'end' | 'reset'; arrivedAt: number; chance: number }

/** What waits here is not read any more beyond this, so that whoever sends has to wait as well. */
const WAITING_BYTES_MAX = 256 * 1024

/** Passes on what one socket receives, how it ends included, in its order and as fast as the other takes it. */
export function createPipe(from: Socket, to: Socket, { onPass, onCut, random }: PipeOptions): Pipe {
  const toxics = new Map<string, Toxic>()
  const pieces: Piece[] = []
  let waitingBytes = 0
  let passedBytes = 0
  let previous = { at: 0, bytes: 0 }
  let timer: NodeJS.Timeout | undefined

  function arrive(content: Piece['content']): void {
    pieces.push({ content, arrivedAt: performance.now(), chance: random() })
    waitingBytes += lengthOf(content)
    if (waitingBytes >= WAITING_BYTES_MAX) from.pause()
    flow()
  }

  function flow(): void {
    clearTimeout(timer)
    for (let piece = pieces[0]; piece && !to.destroyed; piece = pieces[0]) {
      const now = performance.now()
      const verdict = judge(toxics.values(), { now, ...piece, previous, passedBytes })
      if (verdict.swallowed) {
        take(piece, Number.POSITIVE_INFINITY)
        continue
      }
      if (to.writableNeedDrain) return
      if (verdict.waitMs > 0) {
        if (verdict.waitMs < Number.POSITIVE_INFINITY) timer = setTimeout(flow, Math.ceil(verdict.waitMs))
        return
      }
      const content = take(piece, Math.min(verdict.bytesMax, verdict.bytesLeft))
      pass(content, now)
      if (lengthOf(content) === verdict.bytesLeft) cut()
    }
  }

  /** Leaves the rest of the piece, if there is one, where it is. */
  function take(piece: Piece, bytesMax: number): Piece['content'] {
    const { content } = piece
    const taken = typeof content === 'string' ? content : content.subarray(0, bytesMax)
    waitingBytes -= lengthOf(taken)
    if (lengthOf(taken) < lengthOf(content)) piece.content = (content as Buffer).subarray(bytesMax)
    else pieces.shift()
    if (waitingBytes < WAITING_BYTES_MAX) from.resume()
    return taken
  }

  function pass(content: Piece['content'], now: number): void {
    if (content === 'end') to.end()
    else if (content === 'reset') reset(to)
    else {
      onPass?.(content)
      to.write(content)
      passedBytes += content.length
      previous = { at: now, bytes: content.length }
    }
  }

  /** Ended, not reset: who receives reads what has passed, and then that there is no more. */
  function cut(): void {
    to.end(() => reset(to))
    from.destroy()
    pieces.length = 0
    onCut?.()
  }

  from.on('data', arrive)
  from.on('end', () => arrive('end'))
  from.on('error', () => arrive('reset'))
  to.on('drain', flow)
  to.on('close', () => clearTimeout(timer))

  return {
    afflict(name, toxic) {
      toxics.set(name, toxic)
      flow()
    },
    heal() {
      toxics.clear()
      flow()
    },
  }
}

/** Has the other side see a reset connection. */
export function reset(socket: Socket): void {
  if (socket.connecting) socket.destroy()
  else socket.resetAndDestroy()
}

function lengthOf(content: Piece['content']): number {
  return typeof content === 'string' ? 0 : content.length
}
