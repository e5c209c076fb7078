import { setTimeout as sleep } from 'node:timers/promises'
import type { Benchmark, Context } from '../benchmark.ts'
import { newPayments } from '../client.ts'
import { type Contender, TEXTBOOK } from '../contender.ts'
import { repeat } from '../load.ts'
import { countPending, countSettled } from '../payment-counts.ts'
import type { Place } from '../place.ts'
import { type Pace, startMeter } from '../resources.ts'
import { alternate, compare } from '../rounds.ts'
import { onSystem, type System } from '../system.ts'

const CONNECTIONS = 32
/**
 * Maximum number of pending payments. More would let the API take CPU time from relay and worker, so the measured rate
 * would not last.
 */
const PENDING_MAX = 2_000
const POLL_MS = 50
const GATE_POLL_MS = 100

export const pipeline: Benchmark = {
  name: 'pipeline',
  title: `from POST /payments to SUCCESS or FAILED, never more than ${PENDING_MAX} pending, one process of each service`,
  async run(context) {
    const rounds = await alternate(
      { product: () => measure(context.product, context), textbook: () => measure(TEXTBOOK, context) },
      context,
    )
    return compare(rounds, { metric: 'rate', what: 'settled', unit: '/s', ratios: [['product', 'textbook']] })
  },
  alone: { items: 'payments settled', measure: (context) => measure(context.product, context) },
}

function measure(contender: Contender, context: Context): Promise<Pace> {
  return onSystem(context.servers, contender, ['api', 'relay', 'worker'], (system) => measureSettled(system, context))
}

async function measureSettled({ url, place }: System, { quick, signal }: Context): Promise<Pace> {
  const { warmUpMs, durationMs } = quick
    ? { warmUpMs: 500, durationMs: 1_000 }
    : { warmUpMs: 10_000, durationMs: 20_000 }
  const gate = backlogGate(place, PENDING_MAX, signal)
  const next = newPayments()
  let isOver = false
  const load = repeat({ url, connections: CONNECTIONS, signal }, async (client) => {
    await gate.pass()
    await client.send(next())
    return isOver ? 'enough' : 'again'
  })
  try {
    const steady = sleep(warmUpMs, undefined, { signal }).then(() => settledPace(place, durationMs, signal))
    // The load ends by itself only when it fails.
    return await Promise.race([steady, load.then(() => steady)])
  } finally {
    isOver = true
    await gate.close()
    await load.catch(() => {}) // Thrown above.
  }
}

/** Measures for at least `durationMs` and at least one payment, because the machine may stall. */
async function settledPace(place: Place, durationMs: number, signal: AbortSignal): Promise<Pace> {
  const before = await countSettled(place)
  const stop = startMeter()
  for (let waitMs = durationMs; ; waitMs = POLL_MS) {
    await sleep(waitMs, undefined, { signal })
    const settled = (await countSettled(place)) - before
    if (settled > 0) return stop(settled)
  }
}

interface BacklogGate {
  /** Resolves when one more payment may be created. */
  pass(): Promise<void>
  /** Stops watching. @throws the error that has ended the watch */
  close(): Promise<void>
}

/** Lets payments pass while fewer than `pendingMax` are pending. */
function backlogGate(place: Place, pendingMax: number, signal: AbortSignal): BacklogGate {
  const closing = new AbortController()
  let opened = Promise.withResolvers<void>()
  opened.resolve()
  let isOpen = true

  function turn(open: boolean): void {
    if (open) opened.resolve()
    else if (isOpen) opened = Promise.withResolvers()
    isOpen = open
  }

  async function watch(): Promise<void> {
    try {
      while (!closing.signal.aborted && !signal.aborted) {
        turn((await countPending(place)) < pendingMax)
        await sleep(GATE_POLL_MS)
      }
    } finally {
      turn(true)
    }
  }

  const watching = watch()
  watching.catch(() => {}) // `close` throws it.
  return {
    pass: () => opened.promise,
    async close() {
      closing.abort()
      await watching
    },
  }
}
