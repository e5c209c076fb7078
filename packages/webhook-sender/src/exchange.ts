import { type ClientRequest, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import { answerText, outcomeIn, retryAfterMs } from './answer.ts'
import { SendError, sendErrorText } from './send-error.ts'

export type Outcome =
  | { kind: 'answered'; status: number; answer: string; retryAfterMs?: number; outcome?: string }
  | { kind: 'failed'; error: string }
  /** A connection that was kept open was closed before an answer came. */
  | { kind: 'stale'; error: string }

const HEADER_BYTES_MAX = 16_384
/** With headers, 1xx answers, chunk extensions and trailers, which may all be endless. */
const ANSWER_BYTES_MAX = 65_536

const LATE = new SendError('timeout: connected only after the deadline')

export interface Ending {
  /** Aborts at the deadline and when the sender closes. Its reason is a `SendError`. */
  readonly signal: AbortSignal
  /** True once the deadline has passed, also if the timer that aborts the signal has not run yet. */
  hasPassed(): boolean
}

/** Sends one POST, and reads its answer. Never rejects. */
export function exchange(options: RequestOptions, body: Buffer | string, ending: Ending): Promise<Outcome> {
  const { signal } = ending
  const send = options.protocol === 'https:' ? httpsRequest : httpRequest
  const request = send({ ...options, method: 'POST', maxHeaderSize: HEADER_BYTES_MAX, insecureHTTPParser: false })
  return new Promise((resolve) => {
    let head: IncomingMessage | undefined
    const chunks: Buffer[] = []
    let forget = () => {}
    const finish = (outcome: Outcome) => {
      signal.removeEventListener('abort', end)
      forget()
      resolve(outcome)
    }
    /** What came of an answer counts, also if its rest is missing. */
    const breakOff = (error: unknown) => {
      if (head) readBuffered(head)
      request.destroy()
      finish(head ? answered(head, chunks) : failed(request, error))
    }
    const end = () => breakOff(signal.reason)
    signal.addEventListener('abort', end)
    request.on('error', (error) => breakOff(signal.aborted ? signal.reason : error))
    request.on('upgrade', () => breakOff(new SendError('bad answer: it changes the protocol')))
    request.on('response', (response) => {
      head = response
      response.on('error', breakOff)
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        // The connection of a request that the endpoint has not read to its end cannot be used again.
        if (request.writableFinished) finish(answered(response, chunks))
        else breakOff(undefined)
      })
    })
    request.once('socket', (socket) => {
      forget = limitAnswer(socket, () => breakOff(new SendError('bad answer: its headers are too long')))
      whenConnected(socket, () => {
        // A process that was frozen while it connected may have lost its claim. Its timers run after this.
        if (ending.hasPassed()) breakOff(LATE)
        else request.end(body)
      })
    })
  })
}

function answered(head: IncomingMessage, chunks: readonly Buffer[]): Outcome {
  const waitMs = retryAfterMs(head.headers['retry-after'])
  const outcome = outcomeIn(head.headers)
  return {
    kind: 'answered',
    status: head.statusCode ?? 0,
    answer: answerText(chunks),
    ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
    ...(outcome === undefined ? {} : { outcome }),
  }
}

function failed(request: ClientRequest, error: unknown): Outcome {
  const { code } = error as NodeJS.ErrnoException
  const kind = request.reusedSocket && (code === 'ECONNRESET' || code === 'EPIPE') ? 'stale' : 'failed'
  return { kind, error: sendErrorText(error) }
}

/** @returns a function that ends the limit, for a connection that is kept open */
function limitAnswer(socket: Socket, exceeded: () => void): () => void {
  let bytes = 0
  const count = (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) exceeded()
  }
  socket.on('data', count)
  return () => void socket.off('data', count)
}

/** Node parses what came in one piece before it tells of any of it. This emits `data` for what it has parsed. */
function readBuffered(response: IncomingMessage): void {
  while (response.read() !== null);
}

/** Calls `then` in the tick in which the connection is ready to be written to. */
function whenConnected(socket: Socket & { secureConnecting?: boolean }, then: () => void): void {
  if (socket.secureConnecting) socket.once('secureConnect', then)
  else if (socket.connecting) socket.once('connect', then)
  else then() // A connection that was kept open.
}
