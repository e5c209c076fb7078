import { setTimeout as sleep } from 'node:timers/promises'
import { backlogGate, countSettled } from '../backlog.ts'
import type { Benchmark, Context } from '../benchmark.ts'
import { newPayments } from '../client.ts'
import { repeat } from '../load.ts'
import type { Place } from '../place.ts'
import { alternate, compare } from '../rounds.ts'
import { type Kind, onSystem, type System } from '../system.ts'

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
      { product: () => measure('product', context), textbook: () => measure('textbook', context) },
      context,
    )
    return compare(rounds, { metric: 'rate', what: 'settled', unit: '/s', ratios: [['product', 'textbook']] })
  },
}

function measure(kind: Kind, context: Context): Promise<{ rate: number }> {
  return onSystem(context.servers, kind, ['api', 'relay', 'worker'], (system) => measureSettled(system, context))
}

async function measureSettled({ url, place }: System, { quick, signal }: Context): Promise<{ rate: number }> {
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
    const steady = sleep(warmUpMs, undefined, { signal }).then(() => settledRate(place, durationMs, signal))
    // The load does not end by itself, unless it fails.
    const rate = await Promise.race([steady, load.then(() => steady)])
    return { rate }
  } finally {
    isOver = true
    await gate.close()
    await load.catch(() => {}) // Told above.
  }
}

/** Over at least that time, and at least one payment: a machine may stall. */
async function settledRate(place: Place, durationMs: number, signal: AbortSignal): Promise<number> {
  const from = performance.now()
  const before = await countSettled(place)
  for (let waitMs = durationMs; ; waitMs = POLL_MS) {
    await sleep(waitMs, undefined, { signal })
    const to = performance.now()
    const settled = (await countSettled(place)) - before
    if (settled > 0) return settled / ((to - from) / 1_000)
  }
}
