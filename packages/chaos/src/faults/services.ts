import type { Fault } from '../fault.ts'
import type { Role, Service } from '../service.ts'

const ROLES = ['api', 'relay', 'worker'] as const

/** Each part of the product dies, hangs, or is asked to stop. */
export const SERVICE_FAULTS: readonly Fault[] = [
  ...ROLES.flatMap(faultsOf),
  {
    name: 'two-kill',
    disturbs: ROLES,
    lastsMs: [0, 3_000],
    healsMs: 2_000,
    async run({ services }, { random, over }) {
      const victims = random.shuffled(ROLES.flatMap((role) => services[role])).slice(0, 2)
      await Promise.all(victims.map((victim) => victim.kill()))
      await over()
      await Promise.all(victims.map((victim) => victim.start()))
    },
  },
]

function faultsOf(role: Role): Fault[] {
  const disturbs = [role]
  const frozen: Fault['run'] = async ({ services }, { random, over }) => {
    const victim: Service = random.pick(services[role])
    await victim.freeze()
    await over()
    await victim.thaw()
  }
  return [
    {
      name: `${role}-kill`,
      disturbs,
      lastsMs: [0, 3_000],
      healsMs: 2_000,
      async run({ services }, { random, over }) {
        const victim = random.pick(services[role])
        await victim.kill()
        await over()
        await victim.start()
      },
    },
    {
      name: `${role}-stop`,
      disturbs,
      lastsMs: [0, 2_000],
      healsMs: 8_000,
      async run({ services }, { random, over }) {
        const victim = random.pick(services[role])
        await victim.stop()
        await over()
        await victim.start()
      },
    },
    // Shorter than a lease, a heartbeat and the relay's idle_in_transaction_session_timeout.
    { name: `${role}-freeze`, disturbs, lastsMs: [500, 5_000], healsMs: 500, run: frozen },
    // Longer than the lease (13 s) and than RabbitMQ waits for a heartbeat (two to three times 10 s).
    { name: `${role}-freeze-long`, disturbs, lastsMs: [32_000, 36_000], healsMs: 2_000, run: frozen },
  ]
}
