import { connect } from 'node:net'

export interface BusySession {
  host: string
  port: number
  processID?: unknown
  secretKey?: unknown
}

const CANCEL_REQUEST = 80_877_102
const DEADLINE_MS = 5_000

/**
 * Asks PostgreSQL to end what a session does, on a connection of its own (Frontend/Backend Protocol, CancelRequest). No
 * limit of the server ends a COMMIT that waits for a synchronous standby, and nothing else ends its backend. Whether it
 * arrives is nobody's concern.
 */
export function cancelStatement({ host, port, processID, secretKey }: BusySession): void {
  if (typeof processID !== 'number' || typeof secretKey !== 'number') return
  const request = Buffer.alloc(16)
  for (const [at, value] of [16, CANCEL_REQUEST, processID, secretKey].entries()) request.writeInt32BE(value, at * 4)
  const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host)
  socket.on('error', () => {})
  socket.setTimeout(DEADLINE_MS, () => socket.destroy())
  socket.unref().resume().end(request)
}
