import { type Loops, pause, within } from '@cashflow/async'
import { backgroundComponent, type Component, createCondition, type Logger } from '@cashflow/runtime'

const EVERY_MS = 60_000
const STOP_MS = 2_000

export interface KeyUse {
  readonly id: string
  readonly usedAt: Date
}

export interface KeyUses extends Component {
  /** Notes that a key is used now. */
  note(id: string): void
}

export interface KeyUsesOptions {
  /** Stores the last use of each key. */
  store(uses: readonly KeyUse[]): Promise<void>
  logger: Logger
  everyMs?: number
}

/** Stores the last use of keys once a minute, and at the stop. Uses that cannot be stored are tried again with later ones. */
export function createKeyUses({ store, logger, everyMs = EVERY_MS }: KeyUsesOptions): KeyUses {
  const fails = createCondition(logger, {
    message: 'the last use of keys cannot be stored, it is tried again every minute',
    ended: 'the last use of keys is stored again',
  })
  const stopping = new AbortController()
  let used = new Map<string, number>()

  async function flush(): Promise<void> {
    if (used.size === 0) return
    const given = used
    used = new Map()
    const uses = Array.from(given, ([id, at]) => ({ id, usedAt: new Date(at) }))
    try {
      await within(store(uses), { deadlineMs: STOP_MS, what: 'storing the last use of keys' })
      fails.ended()
    } catch (error) {
      // Later uses win.
      used = new Map([...given, ...used])
      fails.holds({ error })
    }
  }

  async function run(loops: Loops): Promise<void> {
    const loop = loops.begin('key uses')
    while (!stopping.signal.aborted) {
      loop.beat()
      await pause(everyMs, stopping.signal)
      await flush()
    }
  }

  return {
    ...backgroundComponent('key uses', run, stopping),
    note(id) {
      used.set(id, Date.now())
    },
  }
}
