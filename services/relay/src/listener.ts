import { setTimeout as sleep } from 'node:timers/promises'
import { createSession } from '@cashflow/db'
import { OUTBOX_CHANNEL } from '@cashflow/outbox'
import type { Logger, Part } from '@cashflow/runtime'

const RECONNECT_MS = 1_000
/** How often the session is used: only an answer tells that its server turned read-only, or that it is gone. */
const LOOK_EVERY_MS = 2_000

export interface ListenerOptions {
  databaseUrl: string
  onNotify: () => void
  /** The session was lost: what was remembered of the database may not hold for the one that answers next. */
  onLost: () => void
  logger: Logger
}

/** LISTENs for committed messages on a session of its own. Only a hint: without it, polling finds them. */
export function createListener({ databaseUrl, onNotify, onLost, logger }: ListenerOptions): Part {
  const stopping = new AbortController()
  let running: Promise<void> | undefined

  async function listen(): Promise<void> {
    const client = createSession({ url: databaseUrl, applicationName: 'cashflow-relay-listen' })
    const lost = new Promise<void>((resolve) => {
      client.on('error', () => resolve())
      client.on('end', () => resolve())
    })
    client.on('notification', onNotify)
    try {
      await client.connect()
      await client.query(`listen ${OUTBOX_CHANNEL}`)
      onNotify() // Whatever was committed before LISTEN took effect.
      await Promise.race([lost, lookAfter(client)])
    } finally {
      // Not awaited: a server that has fallen silent does not answer the farewell either.
      client.end().catch(() => {})
    }
  }

  /** Until the relay stops, or an answer says that the session is of no use. */
  async function lookAfter(client: ReturnType<typeof createSession>): Promise<void> {
    for (;;) {
      await pause(LOOK_EVERY_MS)
      if (stopping.signal.aborted) return
      await client.query('select 1')
    }
  }

  const pause = (ms: number) => sleep(ms, undefined, { signal: stopping.signal }).catch(() => {}) // Only abort rejects.

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await listen().catch((error) => logger.debug('cannot listen to the database', { error }))
      onLost()
      await pause(RECONNECT_MS)
    }
  }

  return {
    name: 'listener',
    async start() {
      running ??= run()
    },
    async stop() {
      stopping.abort()
      await running
    },
  }
}
