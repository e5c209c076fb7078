import { setTimeout as sleep } from 'node:timers/promises'
import { type Database, serviceSession } from '@cashflow/db'
import { OUTBOX_CHANNEL } from '@cashflow/outbox'
import { type Component, createCondition, type Logger } from '@cashflow/runtime'

const RECONNECT_MS = 1_000
/** How often the session is used: only an answer tells that its server turned read-only, or that it is gone. */
const LOOK_EVERY_MS = 2_000

type OpenSession = Awaited<ReturnType<Database['openSession']>>

export interface ListenerOptions {
  db: Pick<Database, 'openSession'>
  onNotify: () => void
  /** The session was lost: what was remembered of the database may not hold for the one that answers next. */
  onLost: () => void
  logger: Logger
}

/** LISTENs for committed messages on a session of its own. Only a hint: without it, polling finds them. */
export function createListener({ db, onNotify, onLost, logger }: ListenerOptions): Component {
  const stopping = new AbortController()
  const deaf = createCondition(logger, {
    message: 'cannot listen to the database, new messages are found 200 ms later',
    over: 'listening to the database again',
  })
  let isStarted = false

  async function listen(): Promise<void> {
    const session = await db.openSession(serviceSession('relay-listen'))
    // Not awaited: a server that has fallen silent does not answer the farewell. What waits for an answer fails at once.
    const end = () => void session.end().catch(() => {})
    stopping.signal.addEventListener('abort', end)
    try {
      const lost = new Promise<Error>((resolve) => {
        session.on('error', resolve)
        session.on('end', () => resolve(new Error('the session has ended')))
      })
      session.on('notification', onNotify)
      await session.query(`listen ${OUTBOX_CHANNEL}`)
      deaf.isOver()
      onNotify() // Whatever was committed before LISTEN took effect.
      const error = await Promise.race([lost, lookAfter(session)])
      if (error) throw error
    } finally {
      stopping.signal.removeEventListener('abort', end)
      end()
    }
  }

  /** Until the relay stops, or an answer says that the session is of no use. */
  async function lookAfter(session: OpenSession): Promise<void> {
    for (;;) {
      await pause(LOOK_EVERY_MS)
      if (stopping.signal.aborted) return
      await session.query('select 1')
    }
  }

  const pause = (ms: number) => sleep(ms, undefined, { signal: stopping.signal }).catch(() => {}) // Only abort rejects.

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await listen().catch((error) => {
        if (!stopping.signal.aborted) deaf.holds({ error })
      })
      onLost()
      await pause(RECONNECT_MS)
    }
  }

  return {
    name: 'listener',
    async start() {
      if (!isStarted) void run()
      isStarted = true
    },
    // Does not wait for a session that is being opened: a server that has fallen silent leaves that unanswered.
    async stop() {
      stopping.abort()
    },
  }
}
