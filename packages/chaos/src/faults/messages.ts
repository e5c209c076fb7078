import type { Fault } from '../fault.ts'

const COPIES = 100
const MESSAGES = 5

export const MESSAGE_FAULTS: readonly Fault[] = [
  {
    name: 'duplicates',
    disturbs: ['messages'],
    lastsMs: [0, 0],
    healsMs: 3_000,
    async run({ duplicator, observer }, { random }) {
      const recent = [...observer.sightings.values()]
        .filter(({ topic }) => topic === 'payment.created' || topic === 'payment.retry')
        .slice(-50)
      const confirmed = await duplicator.publish(random.shuffled(recent).slice(0, MESSAGES), COPIES)
      return confirmed === 0 ? 'no effect' : undefined
    },
  },
]
