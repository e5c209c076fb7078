import { setTimeout as sleep } from 'node:timers/promises'
import { serviceSession, sessionSettings } from '@cashflow/db'
import { OUTBOX_CHANNEL } from '@cashflow/outbox'
import type { Logger, Part } from '@cashflow/runtime'
import pg from 'pg'

const RECONNECT_MS = 1_000

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
    const client = new pg.Client(sessionSettings({ url: databaseUrl, applicationName: serviceSession('relay-listen') }))
    const lost = new Promise<void>((resolve) => {
      client.on('error', () => resolve())
      client.on('end', () => resolve())
    })
    client.on('notification', onNotify)
    try {
      await client.connect()
      await client.query(`listen ${OUTBOX_CHANNEL}`)
      onNotify() // Whatever was committed before LISTEN took effect.
      await Promise.race([lost, aborted(stopping.signal)])
    } catch (error) {
      logger.debug('cannot listen to the database', { error })
    } finally {
      onLost()
      // Not awaited: a server that has fallen silent does not answer the farewell either.
      client.end().catch(() => {})
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await listen()
      await sleep(RECONNECT_MS, undefined, { signal: stopping.signal }).catch(() => {}) // Only abort rejects.
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

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
