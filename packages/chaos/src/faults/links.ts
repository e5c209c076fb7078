import type { TcpProxy } from '@cashflow/testing'
import type { Fault } from '../fault.ts'

type Toxic = { name: string; lastsMs: Fault['lastsMs']; apply(link: TcpProxy): void }

const TOXICS: readonly Toxic[] = [
  { name: 'latency', lastsMs: [3_000, 8_000], apply: (link) => link.delay(100, 50) },
  { name: 'cut', lastsMs: [500, 6_000], apply: (link) => link.cut() },
  { name: 'half-open', lastsMs: [3_000, 15_000], apply: (link) => link.freeze() },
  { name: 'reset', lastsMs: [0, 0], apply: (link) => link.reset() },
  { name: 'slow', lastsMs: [3_000, 8_000], apply: (link) => link.limit(20_000) },
]

/** Between the services and their servers: all of one kind's links, or those of one role. */
export const LINK_FAULTS: readonly Fault[] = [
  ...linkFaults('database', 'database links', 'commit'),
  ...linkFaults('broker', 'broker links', 'payment.'),
]

function linkFaults(kind: 'database' | 'broker', part: 'database links' | 'broker links', asked: string): Fault[] {
  const toxics = [
    ...TOXICS,
    // COMMIT or publish, received by the server, and its answer never: in doubt.
    {
      name: 'in-doubt',
      lastsMs: [2_000, 5_000],
      apply: (link) => link.loseAnswerTo(asked, { times: 5 }),
    } satisfies Toxic,
  ]
  return toxics.map(({ name, lastsMs, apply }) => ({
    name: `${kind}-${name}`,
    disturbs: [part],
    lastsMs,
    healsMs: 3_000,
    async run({ links }, { random, over }) {
      const chosen = random.pick([links[kind].all, ...links[kind].byRole])
      for (const link of chosen) apply(link)
      await over()
      for (const link of chosen) link.restore()
    },
  }))
}
