import { setTimeout as sleep } from 'node:timers/promises'
import { backlogGate, countSettled } from '../backlog.ts'
import type { Benchmark, Context } from '../benchmark.ts'
import { newPayments } from '../client.ts'
import { type Contender, TEXTBOOK } from '../contender.ts'
import { repeat } from '../load.ts'
import { type Pace, startMeter } from '../meter.ts'
import type { Place } from '../place.ts'
import { alternate, compare } from '../rounds.ts'
import { onSystem, type System } from '../system.ts'

const CONNECTIONS = 32
/**
 * No payment is created while more are pending, or the API would take the machine from those who settle. What is settled
 * then is what can be, for as long as one likes.
 */
const PENDING_MAX = 2_000
const POLL_MS = 50

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
    // The load does not end by itself, unless it fails.
    return await Promise.race([steady, load.then(() => steady)])
  } finally {
    isOver = true
    await gate.close()
    await load.catch(() => {}) // Told above.
  }
}

/** Over at least that time, and at least one payment: a machine may stall. */
async function settledPace(place: Place, durationMs: number, signal: AbortSignal): Promise<Pace> {
  const before = await countSettled(place)
  const stop = startMeter()
  for (let waitMs = durationMs; ; waitMs = POLL_MS) {
    await sleep(waitMs, undefined, { signal })
    const settled = (await countSettled(place)) - before
    if (settled > 0) return stop(settled)
  }
}
