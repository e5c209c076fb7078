import { type Loops, pause as rest, within } from '@cashflow/async'
import { backgroundComponent, type Component, createCondition, type Logger } from '@cashflow/runtime'
import type { Kysely } from 'kysely'
import { readAtStart } from '../postgres/read-at-start.ts'
import type { Tables } from '../tables.ts'
import { PAUSABLE, type Pausable } from './pausable.ts'
import { type LastPause, type Pause, readPauses } from './pauses.ts'

const LOOK_MS = 1_000
const LOOK_DEADLINE_MS = 2_000

export interface PauseWatchOptions {
  db: Kysely<Tables>
  /** The component that this process is. Its pauses are logged. */
  own: Pausable
  logger: Logger
  /** Called when a pause of a component has begun or ended. */
  onChange?: () => void
  /** Time between two looks, in milliseconds. Default: 1,000. */
  lookMs?: number
}

export interface PauseWatch extends Component {
  /** The pause of a component that is in force, as far as this process knows. */
  inForce(component: Pausable): Pause | undefined
  /** Returns whether any pause is in force. */
  isAny(): boolean
}

interface Known {
  readonly pause: Pause
  /** The pause's end on the monotonic clock. */
  readonly endsAt: number
}

/**
 * Follows the pauses in the database. It has started when it has read them once, so that a new process of a paused component
 * starts paused. One that may never read them ends with an error. Later, while they cannot be read, they stay as they are,
 * and one with an end ends when its time is over by the monotonic clock.
 */
export function createPauseWatch(options: PauseWatchOptions): PauseWatch {
  const { db, own, logger, onChange = () => {}, lookMs = LOOK_MS } = options
  const stopping = new AbortController()
  const { signal } = stopping
  const known = new Map<Pausable, Known>()
  const unread = createCondition(logger, {
    message: 'pauses cannot be read, the last state is kept',
    ended: 'pauses can be read again',
  })
  /** A silent server is asked once at a time. */
  let reading: Promise<LastPause[]> | undefined

  function read(): Promise<LastPause[]> {
    reading ??= readPauses(db).finally(() => {
      reading = undefined
    })
    return within(reading, { deadlineMs: LOOK_DEADLINE_MS, what: 'reading the pauses', signal })
  }

  function set(component: Pausable, now: Known | undefined, last?: Pause): void {
    const before = known.get(component)
    if (now) known.set(component, now)
    else known.delete(component)
    // A pause that replaced another one has a line of its own.
    const isNew = now && now.pause.pausedAt.getTime() !== before?.pause.pausedAt.getTime()
    if (component === own && isNew) logger.warn('paused by an operator', fieldsOf(now.pause))
    if (component === own && before && !now) logger.info('resumed', fieldsOf(last ?? before.pause))
    if (!before !== !now) onChange()
  }

  function take(pauses: readonly LastPause[]): void {
    for (const component of PAUSABLE) {
      const last = pauses.find((pause) => pause.component === component)
      const endsAt = performance.now() + (last?.leftMs ?? Number.POSITIVE_INFINITY)
      set(component, last?.isInForce ? { pause: last, endsAt } : undefined, last)
    }
  }

  async function look(): Promise<void> {
    try {
      take(await read())
      unread.ended()
    } catch (error) {
      if (signal.aborted) return
      unread.holds({ error })
      for (const [component, { endsAt }] of known) if (performance.now() >= endsAt) set(component, undefined)
    }
  }

  async function run(loops: Loops): Promise<void> {
    const loop = loops.begin('pause watch')
    while (!signal.aborted) {
      loop.beat()
      await rest(lookMs, signal)
      if (!signal.aborted) await look()
    }
  }

  const { start, ...background } = backgroundComponent('pause watch', run, stopping, { isAwaited: false })
  return {
    ...background,
    async start(starting) {
      take(await readAtStart('the table "pauses"', read, { logger, signal: starting }))
      await start(starting)
    },
    inForce: (component) => known.get(component)?.pause,
    isAny: () => known.size > 0,
  }
}

function fieldsOf({ reason, pausedBy, until, resumedBy, resumeReason }: Pause) {
  return {
    by: pausedBy,
    reason,
    until: until ?? 'resumed',
    ...(resumedBy !== null && { resumed_by: resumedBy }),
    ...(resumeReason !== null && { resume_reason: resumeReason }),
  }
}
