import type { Server } from 'node:http'

// A payment's whole request, and at most some fifty of the shortest.
const SLICE_BYTES = 1_024

/**
 * Gives the HTTP parser what arrives in small slices. At once it makes requests of all that it is given, thousands of
 * 64 kB; between two slices the connection may be paused or cut, and what came of the first is known.
 */
export function readInSlices(server: Server): void {
  server.on('connection', (socket) => {
    const parsers = socket.listeners('data') as ((bytes: Buffer) => void)[]
    socket.removeAllListeners('data')
    socket.on('data', (bytes: Buffer) => {
      for (let at = 0; at < bytes.length && socket.writable; at += SLICE_BYTES) {
        if (socket.isPaused()) return void socket.unshift(bytes.subarray(at))
        for (const parse of parsers) parse(bytes.subarray(at, at + SLICE_BYTES))
      }
    })
  })
}
