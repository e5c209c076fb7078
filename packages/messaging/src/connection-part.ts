import type { Connection } from './connection.ts'

/** The connection as a part of a process: starts once a broker has answered, and gives up when the signal aborts. */
export function connectionPart(connection: Connection) {
  return {
    name: connection.name,
    async start(signal: AbortSignal): Promise<void> {
      await connection.start()
      await connection.whenReady(signal)
    },
    stop: () => connection.stop(),
  }
}
