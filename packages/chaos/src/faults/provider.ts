import type { Fault } from '../fault.ts'
import type { Mood } from '../provider.ts'

const MOODS: readonly Mood[] = ['slow', 'undecided', 'failing', 'hanging', 'lying']

export const PROVIDER_FAULTS: readonly Fault[] = MOODS.map((mood) => ({
  name: `provider-${mood}`,
  disturbs: ['provider'],
  lastsMs: [2_000, 8_000],
  healsMs: 3_000,
  async run({ provider }, { over }) {
    const before = provider.charges.length
    provider.mood = mood
    await over()
    provider.mood = 'well'
    return provider.charges.length === before ? 'no effect' : undefined
  },
}))
