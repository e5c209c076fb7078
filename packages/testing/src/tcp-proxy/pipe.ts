import type { Socket } from 'node:net'
import { defined } from '@cashflow/async'
import { judge, type Toxic } from './toxic.ts'

export type Pipe = ReturnType<typeof createPipe>

interface PipeOptions {
  onPass?(bytes: Buffer): void
  onCut?(): void
}

interface Piece {
  content: Buffer | 'end' | 'reset'
  arrivedAt: number
  chance: number
}

/** Reading pauses above this, so that the sender has to wait too. */
const HELD_BYTES_MAX = 256 * 1024

/** One direction of a connection: passes one socket's bytes and end to the other, in order, as fast as it accepts them. */
export function createPipe(from: Socket, to: Socket, { onPass, onCut }: PipeOptions) {
  const toxics = new Map<string, Toxic>()
  const held = createQueue(from)
  let passedBytes = 0
  let previous = { at: 0, bytes: 0 }
  let timer: NodeJS.Timeout | undefined

  function arrive(content: Piece['content']): void {
    held.add({ content, arrivedAt: performance.now(), chance: Math.random() })
    flow()
  }

  function flow(): void {
    clearTimeout(timer)
    for (let piece = held.first; piece && !to.destroyed; piece = held.first) {
      const now = performance.now()
      const verdict = judge(toxics.values(), { now, ...piece, previous, passedBytes })
      if (verdict.swallowed) {
        held.take(Number.POSITIVE_INFINITY)
        continue
      }
      if (to.writableNeedDrain) return
      if (verdict.waitMs > 0) {
        if (verdict.waitMs < Number.POSITIVE_INFINITY) timer = setTimeout(flow, Math.ceil(verdict.waitMs))
        return
      }
      const content = held.take(Math.min(verdict.bytesMax, verdict.bytesLeft))
      pass(content, now)
      if (lengthOf(content) === verdict.bytesLeft) cut()
    }
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
    held.clear()
    onCut?.()
  }

  from.on('data', arrive)
  from.on('end', () => arrive('end'))
  from.on('error', () => arrive('reset'))
  to.on('drain', flow)
  to.on('close', () => clearTimeout(timer))
  return {
    /** Adds a toxic, or replaces the one with this name. */
    afflict(name: string, toxic: Toxic) {
      toxics.set(name, toxic)
      flow()
    },
    /** Removes all toxics: held bytes pass at once. */
    heal() {
      toxics.clear()
      flow()
    },
  }
}

/** The pieces that have arrived from a socket and not passed, in order. Too many bytes pause the socket. */
function createQueue(from: Socket) {
  const pieces: Piece[] = []
  let bytes = 0
  return {
    get first() {
      return pieces[0]
    },
    add(piece: Piece) {
      pieces.push(piece)
      bytes += lengthOf(piece.content)
      if (bytes >= HELD_BYTES_MAX) from.pause()
    },
    /** Takes at most `bytesMax` bytes of the first piece, and leaves the rest of it first. */
    take(bytesMax: number): Piece['content'] {
      const piece = defined(pieces[0], 'piece to take')
      const { content } = piece
      if (typeof content === 'string' || content.length <= bytesMax) pieces.shift()
      else piece.content = content.subarray(bytesMax)
      const taken = typeof content === 'string' ? content : content.subarray(0, bytesMax)
      bytes -= lengthOf(taken)
      if (bytes < HELD_BYTES_MAX) from.resume()
      return taken
    },
    clear() {
      pieces.length = 0
      bytes = 0
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
