import { readFileSync } from 'node:fs'

const CONNECTIONS_MAX = 4_096
// For what is no client's: sessions with PostgreSQL, the log, and what Node has open.
const FILES_KEPT = 64

/**
 * How many connections an API holds: 4,096, or fewer where the process may open fewer files. Without this, the kernel
 * would take connections that Node cannot open, and new sessions with PostgreSQL would fail.
 *
 * @param limits the text of /proc/self/limits, where there is one
 */
export function connectionsMax(limits = readLimits()): number {
  const filesMax = Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY)
  return Math.max(1, Math.min(CONNECTIONS_MAX, filesMax - FILES_KEPT))
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8')
  } catch {
    return '' // Not Linux.
  }
}
