import type { IncomingMessage } from 'node:http'
import { BODY_BYTES_MAX } from './json-body.ts'

/**
 * Discards the body of a request that is answered without reading it. So its client reads the answer, and goes on with the
 * same connection. A body that is larger than any may be costs no more: its connection is closed.
 */
export function discardBody(req: IncomingMessage): void {
  let sizeBytes = 0
  req.on('data', (chunk: Buffer) => {
    sizeBytes += chunk.length
    if (sizeBytes > BODY_BYTES_MAX) req.socket.destroy()
  })
}
