import type { IncomingMessage } from 'node:http'
import { Problem } from './problem.ts'

const LIMIT_BYTES = 16_384
const CHUNKS_MAX = 64
const DEADLINE_MS = 10_000

/**
 * The whole body, in memory. What is too large is refused at once and the rest is read off unseen, so that the client
 * gets to read its answer.
 */
export async function readBody(req: IncomingMessage, deadlineMs = DEADLINE_MS): Promise<Buffer> {
  if (Number(req.headers['content-length']) > LIMIT_BYTES) throw tooLarge()
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const chunks: Buffer[] = []
  let sizeBytes = 0
  const keep = (chunk: Buffer) => {
    sizeBytes += chunk.length
    if (sizeBytes > LIMIT_BYTES) {
      req.off('data', keep).resume()
      reject(tooLarge())
      return
    }
    // A chunk of a byte takes a hundred of them.
    if (chunks.push(chunk) === CHUNKS_MAX) chunks.splice(0, CHUNKS_MAX, Buffer.concat(chunks))
  }
  req.on('data', keep)
  req.once('end', () => resolve(Buffer.concat(chunks)))
  req.once('error', () => reject(new Problem('bad-request', 'The body ended early.')))
  const timer = setTimeout(() => reject(tooSlow()), deadlineMs)
  return promise.finally(() => clearTimeout(timer))
}

function tooLarge(): Problem {
  return new Problem('payload-too-large', `A body has at most ${LIMIT_BYTES} bytes.`)
}

function tooSlow(): Problem {
  return new Problem('request-timeout', 'The body did not arrive in time.', { headers: { Connection: 'close' } })
}
