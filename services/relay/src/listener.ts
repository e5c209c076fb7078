import { setTimeout as sleep } from 'node:timers/promises'
import { sessionSettings } from '@cashflow/db'
import { OUTBOX_CHANNEL } from '@cashflow/outbox'
import { createCondition, type Logger, type Part } from '@cashflow/runtime'
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
  const deaf = createCondition(logger, {
    message: 'cannot listen to the database, new messages are found 200 ms later',
    over: 'listening to the database again',
  })
  let running: Promise<void> | undefined

  async function listen(): Promise<void> {
    const client = new pg.Client(sessionSettings({ url: databaseUrl, applicationName: 'cashflow-relay-listen' }))
    const lost = new Promise<Error>((resolve) => {
      client.on('error', resolve)
      client.on('end', () => resolve(new Error('the session has ended')))
    })
    client.on('notification', onNotify)
    try {
      await client.connect()
      await client.query(`listen ${OUTBOX_CHANNEL}`)
      deaf.isOver()
      onNotify() // Whatever was committed before LISTEN took effect.
      const error = await Promise.race([lost, aborted(stopping.signal)])
      if (error) deaf.holds({ error })
    } catch (error) {
      deaf.holds({ error })
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
