import type { Socket } from 'node:net'
import { judge, type Toxic } from './toxic.ts'

/** One direction of a connection. */
export interface Pipe {
  /** Adds a toxic, or replaces the one with this name. */
  afflict(name: string, toxic: Toxic): void
  /** Removes all toxics: held bytes pass at once. */
  heal(): void
}

export interface PipeOptions {
  /** Called before these bytes pass. */
  onPass?(bytes: Buffer): void
  /** Called after a toxic has cut the connection. */
  onCut?(): void
  /** Returns a number from 0 to 1 for each piece. */
  random(): number
}

interface Piece {
  content: Buffer | 'end' | 'reset'
  arrivedAt: number
  chance: number
}

/** Reading pauses above this, so that the sender has to wait too. */
const HELD_BYTES_MAX = 256 * 1024

/** Passes one socket's bytes and its end to the other, in order, and no faster than the other accepts them. */
export function createPipe(from: Socket, to: Socket, { onPass, onCut, random }: PipeOptions): Pipe {
  const toxics = new Map<string, Toxic>()
  const pieces: Piece[] = []
  let heldBytes = 0
  let passedBytes = 0
  let previous = { at: 0, bytes: 0 }
  let timer: NodeJS.Timeout | undefined

  function arrive(content: Piece['content']): void {
    pieces.push({ content, arrivedAt: performance.now(), chance: random() })
    heldBytes += lengthOf(content)
    if (heldBytes >= HELD_BYTES_MAX) from.pause()
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

  /** Takes at most `bytesMax` bytes of the piece, and leaves its rest in the queue. */
  function take(piece: Piece, bytesMax: number): Piece['content'] {
    const { content } = piece
    const taken = typeof content === 'string' ? content : content.subarray(0, bytesMax)
    heldBytes -= lengthOf(taken)
    if (lengthOf(taken) < lengthOf(content)) piece.content = (content as Buffer).subarray(bytesMax)
    else pieces.shift()
    if (heldBytes < HELD_BYTES_MAX) from.resume()
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

  /** Ends the connection without a reset, so that the receiver still reads the bytes that have passed. */
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

/** Sends a TCP reset to the other side. */
export function reset(socket: Socket): void {
  if (socket.connecting) socket.destroy()
  else socket.resetAndDestroy()
}

function lengthOf(content: Piece['content']): number {
  return typeof content === 'string' ? 0 : content.length
}
