import { defined } from '@cashflow/async'
import type { Fault } from '../fault.ts'
import type { ServiceRole } from '../service.ts'

const ROLES = ['api', 'relay', 'worker', 'webhooks'] as const

/** Services are killed, stopped, or frozen. */
export const SERVICE_FAULTS: readonly Fault[] = [
  ...ROLES.flatMap(faultsOf),
  {
    name: 'two-kill',
    disturbs: ROLES,
    lastsMs: [0, 3_000],
    recoveryMs: 2_000,
    async run({ services }, { random, untilEnd }) {
      const victims = random.shuffled(ROLES.flatMap((role) => services[role])).slice(0, 2)
      await Promise.all(victims.map((victim) => victim.kill()))
      await untilEnd()
      await Promise.all(victims.map((victim) => victim.start()))
    },
  },
]

function faultsOf(role: ServiceRole): Fault[] {
  const fault = (
    name: string,
    lastsMs: Fault['lastsMs'],
    recoveryMs: number,
    [cause, undo]: readonly ['kill' | 'stop' | 'freeze', 'start' | 'thaw'],
  ): Fault => ({
    name: `${role}-${name}`,
    disturbs: [role],
    lastsMs,
    recoveryMs,
    async run({ services }, { random, untilEnd }) {
      const victim = random.pick(services[role])
      await victim[cause]()
      await untilEnd()
      await victim[undo]()
    },
  })
  return [
    fault('kill', [0, 3_000], 2_000, ['kill', 'start']),
    fault('stop', [0, 2_000], 8_000, ['stop', 'start']),
    // Shorter than a lease, a heartbeat and the relay's idle_in_transaction_session_timeout.
    fault('freeze', [500, 5_000], 500, ['freeze', 'thaw']),
    // Longer than a worker's lease (13 s), than that of a webhook (30 s), and than RabbitMQ waits for a heartbeat (two to three times 10 s).
    fault('freeze-long', [32_000, 36_000], 2_000, ['freeze', 'thaw']),
  ]
}

/** One service whose clock is an hour wrong. */
export const CLOCK_SKEW: Fault = {
  name: 'clock-skew',
  disturbs: ROLES,
  lastsMs: [8_000, 15_000],
  recoveryMs: 10_000,
  needs: 'libfaketime',
  async run({ services, libfaketime }, { random, untilEnd }) {
    const victim = random.pick(Object.values(services).flat())
    const offset = random.pick(['+1h', '-1h'])
    await victim.kill()
    // Timers run as before. Only the time of day is wrong.
    const preload = defined(libfaketime, 'libfaketime')
    await victim.start({ LD_PRELOAD: preload, FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: '1' })
    await untilEnd()
    await victim.kill()
    await victim.start()
  },
}
