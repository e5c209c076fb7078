import { type Loop, type Loops, pause } from '@cashflow/async'
import { backgroundComponent, type Component, createCondition, type Logger } from '@cashflow/runtime'
import { serviceSession } from '../migrate/schema.ts'
import type { Database } from './database.ts'

const RECONNECT_MS = 1_000
/** Time between two queries on the session. Only an answer shows that the server turned read-only or is gone. */
const LOOK_EVERY_MS = 2_000

type OpenSession = Awaited<ReturnType<Database['openSession']>>

export interface ListenerOptions {
  db: Pick<Database, 'openSession'>
  /** The service's name, such as `relay`. */
  service: string
  channel: string
  /** Called with the payload of a notification. */
  onNotify: (payload: string) => void
  /** Called when LISTEN takes effect: what was committed before is not notified. */
  onListen?: () => void
  /** Called when the session is lost. The next one may reach another server, for which remembered ids do not hold. */
  onLost?: () => void
  logger: Logger
  /** What happens without notifications, for the log. */
  otherwise: string
}

export interface Listener extends Component {
  /** True while the session that LISTENs is up. PostgreSQL has answered it within the last seconds. */
  readonly isListening: boolean
}

/** LISTENs for notifications, on a session of its own. They are hints: the caller also looks from time to time. */
export function createListener(options: ListenerOptions): Listener {
  const { db, service, channel, onNotify, onListen = () => {}, onLost = () => {}, logger, otherwise } = options
  const stopping = new AbortController()
  let isListening = false
  const deaf = createCondition(logger, {
    message: `cannot listen to the database, ${otherwise}`,
    ended: 'listening to the database again',
  })

  async function listen(loop: Loop): Promise<void> {
    const session = await db.openSession(serviceSession(`${service}-listen`))
    // Not awaited: a silent server does not answer the end of the session. A query that waits for an answer fails at once.
    const end = () => void session.end().catch(() => {})
    stopping.signal.addEventListener('abort', end)
    try {
      const lost = new Promise<Error>((resolve) => {
        session.on('error', resolve)
        session.on('end', () => resolve(new Error('the session has ended')))
      })
      session.on('notification', ({ payload = '' }) => onNotify(payload))
      await session.query(`listen ${channel}`)
      isListening = true
      deaf.ended()
      onListen()
      const error = await Promise.race([lost, keepChecking(session, loop)])
      if (error) throw error
    } finally {
      isListening = false
      stopping.signal.removeEventListener('abort', end)
      end()
    }
  }

  /** Queries the session until the listener stops, or until a query fails. */
  async function keepChecking(session: OpenSession, loop: Loop): Promise<void> {
    for (;;) {
      loop.beat()
      await pause(LOOK_EVERY_MS, stopping.signal)
      if (stopping.signal.aborted) return
      await session.query('select 1')
    }
  }

  async function run(loops: Loops): Promise<void> {
    const loop = loops.begin('listener')
    while (!stopping.signal.aborted) {
      loop.beat()
      await listen(loop).catch((error) => {
        if (!stopping.signal.aborted) deaf.holds({ error })
      })
      onLost()
      await pause(RECONNECT_MS, stopping.signal)
    }
  }

  // The stop does not wait for a session that is being opened: a silent server does not answer.
  return {
    ...backgroundComponent('listener', run, stopping, { isAwaited: false }),
    get isListening() {
      return isListening
    },
  }
}
