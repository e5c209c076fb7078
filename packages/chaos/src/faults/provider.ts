import type { Fault } from '../fault.ts'
import type { ProviderMode } from '../provider.ts'

const MODES: readonly ProviderMode[] = ['slow', 'undecided', 'failing', 'hanging', 'lying']

export const PROVIDER_FAULTS: readonly Fault[] = MODES.map((mode) => ({
  name: `provider-${mode}`,
  disturbs: ['provider'],
  lastsMs: [2_000, 8_000],
  recoveryMs: 3_000,
  async run({ provider }, { untilEnd }) {
    const before = provider.charges.length
    provider.setMode(mode)
    await untilEnd()
    provider.setMode('normal')
    return provider.charges.length === before ? 'no effect' : undefined
  },
}))
