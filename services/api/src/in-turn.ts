import type { Response } from 'express'
import type { Queue } from './queue.ts'
import { retryTransient } from './retry.ts'

/** The client has gone, so nobody needs what it asked for. */
export class ClientGoneError extends Error {
  readonly code = 'client_gone'
}

/**
 * Runs idempotent work for a request, each attempt in its turn. What still waits when the client has gone, or when the
 * time is up, never runs.
 */
export async function withWriteSlot<Result>(
  queue: Queue,
  res: Response,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const leaving = new AbortController()
  const leave = () => leaving.abort(new ClientGoneError())
  res.once('close', leave)
  try {
    if (res.closed || res.req.socket.destroyed) leave()
    return await retryTransient(() => queue.run(() => work(leaving.signal), leaving.signal))
  } catch (error) {
    leaving.abort(error)
    throw error
  } finally {
    res.off('close', leave)
  }
}
