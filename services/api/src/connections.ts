import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Logger } from '@cashflow/runtime'
import { Line, type Member } from './line.ts'

export interface Connection extends Member<Connection> {
  readonly socket: Socket
  /** In their order. One lasts until its answer is sent and its request has arrived, were it unread. */
  readonly exchanges: Set<ServerResponse>
  /** The request whose body is arriving. */
  arriving: IncomingMessage | undefined
  /** Whether a complete request is expected: the connection is new, or bytes have come since the last request. */
  isExpecting: boolean
}

export interface Connections {
  readonly open: ReadonlyMap<Socket, Connection>
  /** Logs what has not been logged. */
  stop(): void
}

/**
 * Knows each connection and its exchanges. Above `connectionsMax` it closes one: the one that has been idle the longest;
 * where none is idle, the one that has been longest without a complete request, or does not read its answer. One that
 * is owed an answer is never closed: where all are, the new one is. No client can keep others out by holding connections.
 */
export function trackConnections(
  server: Server,
  { connectionsMax, logger }: { connectionsMax: number; logger: Logger },
): Connections {
  const open = new Map<Socket, Connection>()
  const idle = new Line<Connection>()
  const slow = new Line<Connection>()
  const closings = createClosingLog(logger, connectionsMax)

  /** Undefined while the client is owed an answer. */
  function lineOf({ exchanges, isExpecting }: Connection): Line<Connection> | undefined {
    // Answers go out in order: a client that does not read the first gets no later one either.
    const [due] = exchanges
    if (due) return due.req.complete && !due.writableEnded ? undefined : slow
    return isExpecting ? slow : idle
  }

  /** Called after each change that may move it. It keeps its place while its line stays the same. */
  function place(connection: Connection): void {
    const line = connection.socket.destroyed ? undefined : lineOf(connection)
    if (line === connection.line) return
    connection.line?.delete(connection)
    line?.add(connection)
  }

  function leave(connection: Connection): void {
    open.delete(connection.socket)
    connection.line?.delete(connection)
  }

  function makeRoom(newest: Connection): void {
    const closed = idle.first ?? slow.first ?? newest
    closings.count(closed === newest ? 'refused' : closed.line === idle ? 'closed_idle' : 'closed_slow')
    leave(closed)
    closed.socket.destroy()
  }

  server.on('connection', (socket) => {
    const place = { line: undefined, before: undefined, after: undefined }
    const connection = {
      socket,
      exchanges: new Set<ServerResponse>(),
      arriving: undefined,
      isExpecting: true,
      ...place,
    }
    open.set(socket, connection)
    slow.add(connection)
    socket.once('close', () => leave(connection))
    // The parser, which listens before this, has seen the bytes.
    socket.on('data', () => arrived(connection))
    if (open.size > connectionsMax) makeRoom(connection)
  })

  function arrived(connection: Connection): void {
    connection.isExpecting = true
    if (connection.arriving?.complete) complete(connection)
    place(connection)
  }

  function complete(connection: Connection): void {
    connection.arriving = undefined
    connection.isExpecting = false
    connection.line?.delete(connection)
  }

  server.on('request', (req, res) => {
    const connection = open.get(req.socket)
    if (!connection) return
    // One that came in the same bytes.
    if (connection.arriving) complete(connection)
    connection.arriving = req
    connection.exchanges.add(res)
    const end = () => {
      connection.exchanges.delete(res)
      place(connection)
    }
    res.once('prefinish', () => place(connection)) // Written, but perhaps not read.
    res.once('close', () => (req.complete ? end() : req.once('close', end)))
  })
  return { open, stop: closings.stop }
}

const LOG_EVERY_MS = 10_000

/** At most a line every 10 s, so that a flood of connections is no flood of lines. */
function createClosingLog(logger: Logger, connectionsMax: number) {
  const none = () => ({ closed_idle: 0, closed_slow: 0, refused: 0 })
  let counts = none()
  let pause: NodeJS.Timeout | undefined

  function log(): void {
    pause = undefined
    if (Object.values(counts).every((count) => count === 0)) return
    logger.warn('connections closed: the limit is reached', { connections_max: connectionsMax, ...counts })
    counts = none()
    pause = setTimeout(log, LOG_EVERY_MS).unref()
  }

  return {
    count(kind: keyof typeof counts): void {
      counts[kind] += 1
      if (!pause) log()
    },
    stop(): void {
      clearTimeout(pause)
      log()
      clearTimeout(pause)
    },
  }
}
