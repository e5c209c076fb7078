import type { ServerResponse } from 'node:http'

/** Bytes of answers that clients have not read. */
const UNREAD_BYTES_MAX = 128 * 1_024 * 1_024

interface Exchanges {
  readonly exchanges: Iterable<ServerResponse>
}

/**
 * Finds the connections to close so that the answers that clients have not read take at most 128 MB of memory: those with
 * the most unread bytes. What the kernel holds does not count.
 */
export function largestUnread<Connection extends Exchanges>(connections: Iterable<Connection>): Connection[] {
  const unread = Array.from(connections, (connection) => ({ connection, bytes: unreadBytes(connection) }))
  let total = unread.reduce((sum, { bytes }) => sum + bytes, 0)
  if (total <= UNREAD_BYTES_MAX) return []
  const closed: Connection[] = []
  for (const { connection, bytes } of unread.toSorted((one, other) => other.bytes - one.bytes)) {
    if (total <= UNREAD_BYTES_MAX) break
    total -= bytes
    closed.push(connection)
  }
  return closed
}

/** An answer behind another one counts too: it is in memory until its turn. */
function unreadBytes({ exchanges }: Exchanges): number {
  let bytes = 0
  for (const res of exchanges) bytes += res.writableLength
  return bytes
}
