import { readFileSync } from 'node:fs'
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http'
import { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Logger } from '@cashflow/runtime'
import { socketUnder } from './secure-server.ts'
import { largestUnread } from './unread-answers.ts'

export type Server = HttpServer | HttpsServer

export interface Connection {
  /** The TCP connection, and after the handshake the TLS connection over it. The end of one ends the other. */
  socket: Socket
  /** Exchanges in the order of their requests. An exchange ends when its answer is sent and its request has arrived. */
  readonly exchanges: Set<ServerResponse>
  /** The request whose body is arriving. */
  arriving: IncomingMessage | undefined
  /** True for a new connection, and when bytes have arrived since the last request. */
  isExpecting: boolean
  /** The line that the connection stands in. Undefined while the server owes it an answer, and after its end. */
  line: Line | undefined
}

/** Connections in the order in which they joined. A Set keeps that order, and a connection can leave from any place. */
type Line = Set<Connection>

export interface Connections {
  readonly open: ReadonlyMap<Socket, Connection>
  /** Logs the closed connections that are not logged yet. */
  stop(): void
}

/**
 * Tracks each connection and its exchanges, also during its TLS handshake. Above `connectionsMax` it closes a connection, so that no client can keep
 * others out by holding connections.
 *
 * 1. It closes the connection that has been idle for the longest time.
 * 2. If none is idle, it closes the one that has been longest without a complete request, or does not read its answer.
 * 3. If it owes an answer to every other connection, it closes the new one.
 *
 * Once a second it also closes the connections with the most unread answers, if all of them take too much memory.
 */
export function trackConnections(server: Server, logger: Logger, connectionsMax: number): Connections {
  const open = new Map<Socket, Connection>()
  const idle: Line = new Set()
  const slow: Line = new Set()
  const closings = createClosingLog(logger, connectionsMax)

  /** Called after each change that may move the connection. A connection whose line stays the same keeps its place. */
  function place(connection: Connection): void {
    const line = lineOf(connection, { idle, slow })
    if (line !== connection.line) move(connection, line)
  }

  function makeRoom(newest: Connection): void {
    const [closed = newest] = idle.size > 0 ? idle : slow
    closings.count(closed === newest ? 'refused' : closed.line === idle ? 'closed_idle' : 'closed_slow')
    leave(closed)
    closed.socket.destroy()
  }

  function leave(connection: Connection): void {
    open.delete(connection.socket)
    move(connection, undefined)
  }

  function closeUnread(): void {
    for (const connection of largestUnread(open.values())) {
      closings.count('closed_unread')
      leave(connection)
      connection.socket.destroy()
    }
  }
  const closing = setInterval(closeUnread, LOOK_EVERY_MS).unref()

  function readRequests(connection: Connection): void {
    // Node's parser listens first, so it has read the bytes.
    connection.socket.on('data', () => {
      connection.isExpecting = true
      if (connection.arriving?.complete) completeRequest(connection)
      place(connection)
    })
  }

  server.on('connection', (socket: Socket) => {
    const exchanges = new Set<ServerResponse>()
    const connection: Connection = { socket, exchanges, arriving: undefined, isExpecting: true, line: undefined }
    open.set(socket, connection)
    move(connection, slow)
    socket.once('close', () => leave(connection))
    if (!(server instanceof HttpsServer)) readRequests(connection)
    if (open.size > connectionsMax) makeRoom(connection)
  })

  server.on('secureConnection', (socket: TLSSocket) => {
    const connection = open.get(socketUnder(socket))
    if (!connection) return void socket.destroy()
    open.delete(connection.socket)
    open.set(socket, connection)
    connection.socket = socket
    readRequests(connection)
  })

  server.on('request', (req: IncomingMessage, res: ServerResponse) => {
    const connection = open.get(req.socket)
    if (!connection) return
    if (connection.arriving) completeRequest(connection) // It arrived in the same bytes.
    connection.arriving = req
    connection.exchanges.add(res)
    const end = () => {
      connection.exchanges.delete(res)
      place(connection)
    }
    res.once('prefinish', () => place(connection)) // Written, but perhaps not read.
    res.once('close', () => (req.complete ? end() : req.once('close', end)))
  })
  return {
    open,
    stop() {
      clearInterval(closing)
      closings.stop()
    },
  }
}

function lineOf(
  { socket, exchanges, isExpecting }: Connection,
  { idle, slow }: { idle: Line; slow: Line },
): Line | undefined {
  if (socket.destroyed) return undefined
  // Answers go out in order: a client that does not read the first one gets no later one either.
  const [due] = exchanges
  if (due) return due.req.complete && !due.writableEnded ? undefined : slow
  return isExpecting ? slow : idle
}

function move(connection: Connection, line: Line | undefined): void {
  connection.line?.delete(connection)
  line?.add(connection)
  connection.line = line
}

function completeRequest(connection: Connection): void {
  connection.arriving = undefined
  connection.isExpecting = false
  // A slow connection leaves its line here. With its next request it joins the end of the line.
  move(connection, undefined)
}

const LOOK_EVERY_MS = 1_000
const LOG_EVERY_MS = 10_000

/** Logs at most one line every 10 s, so that a flood of connections does not flood the log. */
function createClosingLog(logger: Logger, connectionsMax: number) {
  const none = () => ({ closed_idle: 0, closed_slow: 0, closed_unread: 0, refused: 0 })
  let counts = none()
  let nextLog: NodeJS.Timeout | undefined

  function log(): void {
    nextLog = undefined
    if (Object.values(counts).every((count) => count === 0)) return
    logger.warn('connections closed: the limit is reached', { connections_max: connectionsMax, ...counts })
    counts = none()
    nextLog = setTimeout(log, LOG_EVERY_MS).unref()
  }

  return {
    count(kind: keyof typeof counts): void {
      counts[kind] += 1
      if (!nextLog) log()
    },
    stop(): void {
      clearTimeout(nextLog)
      log()
      clearTimeout(nextLog)
    },
  }
}

const CONNECTIONS_MAX = 4_096
/** Files that remain for sessions with PostgreSQL, the log, and Node itself. */
const FILES_RESERVED = 64

/**
 * Number of connections that an API holds: 4,096, or fewer if the process may open fewer files. Without this limit the
 * kernel accepts connections that Node cannot open, and new sessions with PostgreSQL fail.
 *
 * @param limits the text of /proc/self/limits, empty on a system that has no such file
 */
export function defaultConnectionsMax(limits = readLimits()): number {
  const filesMax = Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY)
  return Math.max(1, Math.min(CONNECTIONS_MAX, filesMax - FILES_RESERVED))
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8')
  } catch {
    return ''
  }
}
