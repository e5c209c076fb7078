import { defined, eventually } from '@cashflow/async'
import { expect } from 'chai'
import type { FiredAlert } from '../../src/alert-watch.ts'
import { createRandom } from '../../src/random.ts'
import type { System } from '../../src/system.ts'
import type { AlertCase, ExpectedAlert } from './cases.ts'

const SEED = 1
const POLL_MS = 500
const ENDS_WITHIN_S = 60
/** A busy machine takes longer by this factor. */
const BUSY = 4
/** Prometheus evaluates the rules every second. */
const EVALUATION_MS = 1_000

/** When an alert was expected, in milliseconds since 1970. */
interface Expectation {
  readonly alert: ExpectedAlert
  readonly fromMs: number
  /** Undefined while it is expected. */
  toMs?: number
}

/** Causes faults in a system, and expects the alerts of each. Resolves when no alert is pending after the system's start. */
export async function startTrial(system: System) {
  const watch = defined(system.alerts, 'Prometheus')
  const expectNonePending = async () => expect(await watch.now()).to.deep.equal([])
  await eventually(expectNonePending, { intervalMs: POLL_MS, timeoutMs: BUSY * ENDS_WITHIN_S * 1_000 })
  const beganMs = Date.now()
  const expectations: Expectation[] = []
  const lines: string[] = []

  async function firing(alert: ExpectedAlert): Promise<Pick<FiredAlert, 'name' | 'labels'>[]> {
    const now = await watch.now()
    const fired = now
      .filter(({ state }) => state === 'firing')
      .map(({ labels }) => ({ name: labels.alertname, labels }))
    return fired.flatMap(({ name = '', labels }) => (isOne(alert, { name, labels }) ? { name, labels } : []))
  }

  return {
    /** What happened when, in the order of time. */
    lines: lines as readonly string[],
    /** Causes a fault until its alerts fire. Resolves when they have ended. */
    async cause({ fault, alerts }: AlertCase): Promise<void> {
      const fromMs = Date.now()
      const note = (what: string) =>
        void lines.push(`${fault.name}: ${what} after ${((Date.now() - fromMs) / 1_000).toFixed(0)} s`)
      const own = alerts.map((alert): Expectation => ({ alert, fromMs }))
      expectations.push(...own)

      const fires = async ({ alert }: Expectation) => {
        const expectIt = async () => expect(await firing(alert), `${fault.name}: ${nameOf(alert)}`).not.to.be.empty
        await eventually(expectIt, { intervalMs: POLL_MS, timeoutMs: BUSY * alert.withinS * 1_000 })
        note(`${nameOf(alert)} fires`)
      }
      const ends = async (expectation: Expectation) => {
        const { alert } = expectation
        if (alert.ends === false) return
        const expectNone = async () => expect(await firing(alert), `after ${fault.name}`).to.deep.equal([])
        await eventually(expectNone, { intervalMs: POLL_MS, timeoutMs: BUSY * ENDS_WITHIN_S * 1_000 })
        expectation.toMs = Date.now()
        note(`${nameOf(alert)} has ended`)
      }
      await fault.run(system, {
        random: createRandom(SEED),
        say: () => {},
        untilEnd: async () => void (await Promise.all(own.map(fires))),
      })
      note('has ended')
      await Promise.all(own.map(ends))
    },
    /** Expects that no alert has fired since the beginning that no fault explains. */
    async expectNoOthers(): Promise<void> {
      const fired = await watch.fired(beganMs, Date.now())
      const explains = ({ alert, fromMs, toMs = Date.now() }: Expectation, one: FiredAlert) =>
        isOne(alert, one) && one.fromMs >= fromMs && one.toMs <= toMs + EVALUATION_MS
      const others = fired.filter((one) => !expectations.some((expectation) => explains(expectation, one)))
      expect(others, lines.join('\n')).to.deep.equal([])
    },
    expectNonePending,
  }
}

function isOne({ name, of }: ExpectedAlert, fired: Pick<FiredAlert, 'name' | 'labels'>): boolean {
  return name === fired.name && (of === undefined || Object.values(fired.labels).includes(of))
}

function nameOf({ name, of }: ExpectedAlert): string {
  return of === undefined ? name : `${name} (${of})`
}
