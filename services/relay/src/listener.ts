import { pause } from '@cashflow/async'
import { type Database, serviceSession } from '@cashflow/db'
import { OUTBOX_CHANNEL } from '@cashflow/outbox'
import { backgroundComponent, type Component, createCondition, type Logger } from '@cashflow/runtime'

const RECONNECT_MS = 1_000
/** Time between two queries on the session. Only an answer shows that the server turned read-only or is gone. */
const LOOK_EVERY_MS = 2_000

type OpenSession = Awaited<ReturnType<Database['openSession']>>

export interface ListenerOptions {
  db: Pick<Database, 'openSession'>
  onNotify: () => void
  /** Called when the session is lost. The next one may reach another server, for which remembered ids do not hold. */
  onLost: () => void
  logger: Logger
}

/** LISTENs for notifications of committed messages, on a session of its own. Without them, polling finds the messages. */
export function createListener({ db, onNotify, onLost, logger }: ListenerOptions): Component {
  const stopping = new AbortController()
  const deaf = createCondition(logger, {
    message: 'cannot listen to the database, new messages are found 200 ms later',
    ended: 'listening to the database again',
  })

  async function listen(): Promise<void> {
    const session = await db.openSession(serviceSession('relay-listen'))
    // Not awaited: a silent server does not answer the end of the session. A query that waits for an answer fails at once.
    const end = () => void session.end().catch(() => {})
    stopping.signal.addEventListener('abort', end)
    try {
      const lost = new Promise<Error>((resolve) => {
        session.on('error', resolve)
        session.on('end', () => resolve(new Error('the session has ended')))
      })
      session.on('notification', onNotify)
      await session.query(`listen ${OUTBOX_CHANNEL}`)
      deaf.ended()
      onNotify() // For messages that were committed before LISTEN took effect.
      const error = await Promise.race([lost, keepChecking(session)])
      if (error) throw error
    } finally {
      stopping.signal.removeEventListener('abort', end)
      end()
    }
  }

  /** Queries the session until the relay stops, or until a query fails. */
  async function keepChecking(session: OpenSession): Promise<void> {
    for (;;) {
      await pause(LOOK_EVERY_MS, stopping.signal)
      if (stopping.signal.aborted) return
      await session.query('select 1')
    }
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await listen().catch((error) => {
        if (!stopping.signal.aborted) deaf.holds({ error })
      })
      onLost()
      await pause(RECONNECT_MS, stopping.signal)
    }
  }

  // The stop does not wait for a session that is being opened: a silent server does not answer.
  return backgroundComponent('listener', run, stopping, { isAwaited: false })
}
