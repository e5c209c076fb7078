import type { TcpProxy } from '@cashflow/testing'
import type { Fault } from '../fault.ts'
import type { ServiceRole } from '../service.ts'

/** A way to disturb a link. */
type Toxic = { name: string; lastsMs: Fault['lastsMs']; apply(link: TcpProxy): void }

const TOXICS: readonly Toxic[] = [
  { name: 'latency', lastsMs: [3_000, 8_000], apply: (link) => link.delay(100, 50) },
  { name: 'cut', lastsMs: [500, 6_000], apply: (link) => link.cut() },
  { name: 'half-open', lastsMs: [3_000, 15_000], apply: (link) => link.freeze() },
  { name: 'reset', lastsMs: [0, 0], apply: (link) => link.reset() },
  { name: 'slow', lastsMs: [3_000, 8_000], apply: (link) => link.limit(20_000) },
]

/** The servers that a link leads to. */
type Kind = 'database' | 'broker'
/** A text that the role sends in this request, and in no other. */
type Request = { role: ServiceRole; text: string }

/** Maximum number of lost answers on each link. */
const LOST_MAX = 5

/** Faults between the services and their servers, on all links of one kind or on those of one role. */
export const LINK_FAULTS: readonly Fault[] = [
  ...TOXICS.map((toxic) => linkFault('database', toxic)),
  inDoubt('database', [
    // The insert, sent together with its COMMIT.
    { role: 'api', text: 'with "given"' },
    // A message of PostgreSQL ends its text with a NUL, which distinguishes COMMIT from `read committed`.
    { role: 'relay', text: 'commit\0' },
    // The settlement, sent together with its COMMIT, and the claim.
    { role: 'worker', text: 'with "settling"' },
    { role: 'worker', text: 'with "locked"' },
    // The end of a fan-out, a claim or a settlement.
    { role: 'webhooks', text: 'commit\0' },
  ]),
  ...TOXICS.map((toxic) => linkFault('broker', toxic)),
  // A member of a message's body.
  inDoubt('broker', [{ role: 'relay', text: '"payment_id"' }]),
]

function linkFault(kind: Kind, { name, lastsMs, apply }: Toxic): Fault {
  return {
    name: `${kind}-${name}`,
    disturbs: [`${kind} links`],
    lastsMs,
    recoveryMs: 3_000,
    async run({ links }, { random, untilEnd }) {
      const { all, roles, of } = links[kind]
      const chosen = random.pick([all, ...roles.map(of)])
      const open = total(chosen, 'open')
      const taken = total(chosen, 'taken')
      for (const link of chosen) apply(link)
      await untilEnd()
      for (const link of chosen) link.restore()
      return open === 0 && total(chosen, 'taken') === taken ? 'no effect' : undefined
    },
  }
}

/** The server has received a request, and the service never receives the answer. */
function inDoubt(kind: Kind, requests: readonly Request[]): Fault {
  return {
    name: `${kind}-in-doubt`,
    disturbs: [`${kind} links`],
    lastsMs: [2_000, 5_000],
    recoveryMs: 3_000,
    async run({ links }, { random, untilEnd }) {
      const { role, text } = random.pick(requests)
      const chosen = links[kind].of(role)
      const lost = total(chosen, 'lost')
      for (const link of chosen) link.loseAnswerTo(text, { times: LOST_MAX })
      await untilEnd()
      for (const link of chosen) link.restore()
      return total(chosen, 'lost') === lost ? 'no effect' : undefined
    },
  }
}

function total(links: readonly TcpProxy[], count: 'open' | 'taken' | 'lost'): number {
  return links.reduce((sum, link) => sum + link[count], 0)
}
