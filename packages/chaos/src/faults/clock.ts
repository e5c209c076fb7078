import type { Fault } from '../fault.ts'

export const CLOCK_FAULTS: readonly Fault[] = [
  {
    name: 'clock-skew',
    disturbs: ['api', 'relay', 'worker'],
    lastsMs: [8_000, 15_000],
    healsMs: 10_000,
    needs: 'libfaketime',
    async run({ services, libfaketime }, { random, over }) {
      if (!libfaketime) throw new Error('There is no libfaketime')
      const victim = random.pick(Object.values(services).flat())
      const offset = random.pick(['+1h', '-1h'])
      await victim.kill()
      // Timers keep running: what is wrong is what the clock on the wall says.
      await victim.start({ LD_PRELOAD: libfaketime, FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: '1' })
      await over()
      await victim.kill()
      await victim.start()
    },
  },
]
