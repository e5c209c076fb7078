import type { ConnectionSupervisor } from './connection.ts'

/** The connection as a part of a process: starts once a broker has answered, and gives up when the signal aborts. */
export function connectionComponent(connection: ConnectionSupervisor) {
  return {
    name: connection.name,
    async start(signal: AbortSignal): Promise<void> {
      await connection.start()
      await connection.whenReady(signal)
    },
    stop: () => connection.stop(),
  }
}

/**
 * What the broker may refuse, as a part of a process: starts once the broker has accepted the topology of each. To be the
 * last part, so that the others work as far as they can, and the process is not called ready before.
 */
export function topologyComponent(...parts: readonly { whenAccepted(signal: AbortSignal): Promise<void> }[]) {
  return {
    name: 'topology',
    async start(signal: AbortSignal): Promise<void> {
      await Promise.all(parts.map((part) => part.whenAccepted(signal)))
    },
    async stop(): Promise<void> {},
  }
}
