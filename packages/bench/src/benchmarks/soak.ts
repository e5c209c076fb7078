import { defined, pause } from '@cashflow/async'
import { median } from '@cashflow/testing'
import type { Benchmark, Context, Measured } from '../benchmark.ts'
import { createClient, newPayments } from '../client.ts'
import { openLoop } from '../load.ts'
import { residentBytes } from '../resources.ts'
import { startSystem } from '../system.ts'
import { countPending } from './pipeline.ts'

const CONNECTIONS = 64
const MEGABYTE = 2 ** 20
const ROLES = ['api', 'relay', 'worker'] as const

export const soak: Benchmark = {
  name: 'soak',
  title:
    'resident memory of each service under 500 payments/s for 10 minutes: the first minute after the warm-up, and the last',
  figures: [
    ...ROLES.flatMap((role) => [
      { metric: `${role} first`, what: `${role}: first tenth`, unit: 'MB' },
      { metric: `${role} last`, what: `${role}: last tenth`, unit: 'MB' },
      { metric: `${role} growth`, what: `${role}: last tenth / first tenth`, unit: '' },
    ]),
    // A backlog would show that the load was another one than the title says.
    { metric: 'pending', what: 'pending at the end', unit: 'payments' },
  ],
  roundsMax: 1,
  variants: (context) => ({ product: () => measure(context) }),
}

async function measure({ servers, product, quick, signal }: Context): Promise<Measured> {
  const { perSecond, warmUpMs, durationMs, sampleMs } = quick
    ? { perSecond: 50, warmUpMs: 500, durationMs: 2_000, sampleMs: 100 }
    : { perSecond: 500, warmUpMs: 60_000, durationMs: 600_000, sampleMs: 1_000 }
  await using system = await startSystem(servers, product, ROLES)
  await using client = createClient(system.url, CONNECTIONS)
  const next = newPayments()
  const create = async () => void (await client.send(next()))
  await openLoop({ perSecond, durationMs: warmUpMs, signal }, create)
  const ended = new AbortController()
  const samples: number[][] = []
  async function sample(): Promise<void> {
    while (!ended.signal.aborted) {
      samples.push(system.processes.map(({ pid }) => residentBytes(pid) / MEGABYTE))
      await pause(sampleMs, ended.signal)
    }
  }
  const load = openLoop({ perSecond, durationMs, signal }, create).finally(() => ended.abort())
  await Promise.all([load, sample()])
  const tenth = Math.max(1, Math.round(samples.length / 10))
  const sizes = ROLES.flatMap((role, index) => {
    const own = samples.map((sizesOfAll) => defined(sizesOfAll[index], 'sample'))
    const [first, last] = [median(own.slice(0, tenth)), median(own.slice(-tenth))]
    return Object.entries({ [`${role} first`]: first, [`${role} last`]: last, [`${role} growth`]: last / first })
  })
  return { ...Object.fromEntries(sizes), pending: await countPending(system.place) }
}
