import { defined, pause } from '@cashflow/async'
import { median } from '@cashflow/testing'
import type { Benchmark, Row } from '../benchmark.ts'
import { createClient, newPayments } from '../client.ts'
import { openLoop } from '../load.ts'
import { countPending } from '../payment-counts.ts'
import type { Running } from '../process.ts'
import { onSystem } from '../system.ts'

const CONNECTIONS = 64
const MEGABYTE = 2 ** 20

export const soak: Benchmark = {
  name: 'soak',
  title:
    'resident memory of each service under 500 payments/s for 10 minutes: the first minute after the warm-up, and the last',
  run: (context) =>
    onSystem(context.servers, context.product, ['api', 'relay', 'worker'], async ({ url, place, processes }) => {
      const sizes = context.quick
        ? { perSecond: 50, warmUpMs: 500, durationMs: 2_000, sampleMs: 100 }
        : { perSecond: 500, warmUpMs: 60_000, durationMs: 600_000, sampleMs: 1_000 }
      const { perSecond, warmUpMs, durationMs, sampleMs } = sizes
      const { signal } = context
      const client = createClient(url, CONNECTIONS)
      const next = newPayments()
      const create = async () => void (await client.send(next()))
      try {
        await openLoop({ perSecond, durationMs: warmUpMs, signal }, create)
        const samples = watch(processes, sampleMs)
        await openLoop({ perSecond, durationMs, signal }, create)
        const rows = rowsOf(await samples.stop(), processes)
        // A backlog would show that the load was another one than the title says.
        return [...rows, { what: 'pending at the end', value: await countPending(place), unit: 'payments' }]
      } finally {
        await client.close()
      }
    }),
}

/** Samples the resident bytes of each process. */
function watch(processes: readonly Running[], everyMs: number) {
  const stopping = new AbortController()
  const samples: number[][] = []
  async function sample(): Promise<void> {
    while (!stopping.signal.aborted) {
      samples.push(processes.map((service) => service.residentBytes()))
      await pause(everyMs, stopping.signal)
    }
  }
  const sampling = sample()
  return {
    async stop() {
      stopping.abort()
      await sampling
      return samples
    },
  }
}

function rowsOf(samples: readonly number[][], processes: readonly Running[]): Row[] {
  const minute = Math.max(1, Math.round(samples.length / 10))
  return processes.flatMap(({ name }, index): Row[] => {
    const megabytes = samples.map((sample) => defined(sample[index], 'sample') / MEGABYTE)
    const first = median(megabytes.slice(0, minute))
    const last = median(megabytes.slice(-minute))
    const before = { what: `${name}: first tenth`, value: first, unit: 'MB' }
    const after = { what: `${name}: last tenth`, value: last, unit: 'MB' }
    return [before, { ...after, ratio_to: before.what, ratio: last / first }]
  })
}
