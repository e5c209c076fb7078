import { pause } from '@cashflow/async'
import type { Tables } from '@cashflow/db'
import { ratesBetween, readStatus, type SystemStatus } from '@cashflow/db/operator'
import { type Component, createCondition, type Logger, redactedErrorMessage } from '@cashflow/runtime'
import type { RequestHandler, Response } from 'express'
import type { Kysely } from 'kysely'
import { overviewOf } from './overview.ts'
import { listPayments } from './payments.ts'
import { Refusal } from './refusal.ts'

const LOOK_MS = 1_000
/** A look may take a quarter of the time: on a slow server, looks are rarer. */
const LOOK_REST = 3
/** Time between the two looks that rates come from, in milliseconds: a process writes its counters every 2 seconds. */
const RATES_MS = 5_000
const VIEWERS_MAX = 200
/** Bytes that wait for a viewer who does not read. Then its connection ends. */
const UNREAD_MAX = 1_000_000

interface LiveOptions {
  db: Kysely<Tables>
  logger: Logger
}

interface Viewer {
  readonly res: Response
  readonly wantsPayments: boolean
  /** The end of the login. */
  readonly expiresAt: Date
}

/**
 * Server-sent events for all viewers: `overview` once a second, `payments` to those who asked for them, and `unavailable` if
 * PostgreSQL does not answer. One look serves all viewers. Without viewers there is none.
 */
export function createLive({ db, logger }: LiveOptions): Component & { handler: RequestHandler } {
  const viewers = new Set<Viewer>()
  const stopping = new AbortController()
  const looks: { at: number; status: SystemStatus }[] = []
  const unseen = createCondition(logger, {
    message: 'the console could not look at the system, trying again',
    ended: 'the console can look at the system again',
  })
  let running: Promise<void> | undefined

  async function look(): Promise<void> {
    const status = await readStatus(db)
    const at = performance.now()
    while (looks[1] && at - looks[1].at >= RATES_MS) looks.shift()
    const before = looks[0]?.status.instances
    const rates = before && status.instances && ratesBetween(before, status.instances)
    looks.push({ at, status })
    send('overview', overviewOf({ status, rates }))
    if ([...viewers].some(({ wantsPayments }) => wantsPayments))
      send('payments', await listPayments(db), ({ wantsPayments }) => wantsPayments)
  }

  function send(event: string, data: unknown, isFor: (viewer: Viewer) => boolean = () => true): void {
    const frame = `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
    for (const viewer of viewers) {
      const { res, expiresAt } = viewer
      if (!isFor(viewer)) continue
      if (expiresAt.getTime() < Date.now()) res.end()
      else if (res.writableLength > UNREAD_MAX) res.destroy()
      else res.write(frame)
    }
  }

  async function run(): Promise<void> {
    while (viewers.size > 0 && !stopping.signal.aborted) {
      const startedAt = performance.now()
      await look().then(
        () => unseen.ended(),
        (error: unknown) => {
          looks.length = 0
          unseen.holds({ error })
          send('unavailable', { error: redactedErrorMessage(error) })
        },
      )
      const tookMs = performance.now() - startedAt
      await pause(Math.max(LOOK_MS - tookMs, LOOK_REST * tookMs), stopping.signal)
    }
    looks.length = 0
  }

  return {
    name: 'console live',
    async start() {},
    /** Ends all connections: the server of the page waits for its answers. */
    async stop() {
      stopping.abort()
      for (const { res } of viewers) res.end()
      await running
    },
    handler(req, res) {
      if (stopping.signal.aborted) throw new Refusal(503, 'The api is stopping.')
      if (viewers.size >= VIEWERS_MAX) throw new Refusal(503, `${VIEWERS_MAX} viewers are connected already.`)
      const { expiresAt } = res.locals.operator
      const viewer = { res, wantsPayments: 'payments' in req.query, expiresAt }
      res.writeHead(200, { 'Content-Type': 'text/event-stream', 'X-Accel-Buffering': 'no' })
      res.write('retry: 1000\n\n')
      viewers.add(viewer)
      res.once('close', () => viewers.delete(viewer))
      running ??= run().finally(() => {
        running = undefined
      })
    },
  }
}
