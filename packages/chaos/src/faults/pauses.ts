import type { Fault } from '../fault.ts'

/** An operator pauses all relays or all workers, and resumes them. */
export const PAUSES: readonly Fault[] = (['relay', 'worker'] as const).map((component) => ({
  name: `${component}-pause`,
  disturbs: [component],
  // Longer than a process may take to notice.
  lastsMs: [6_000, 12_000],
  recoveryMs: 5_000,
  async run({ query }, { untilEnd }) {
    await query(`insert into pauses (component, reason) values ('${component}', 'chaos') on conflict (component)
      do update set paused_at = clock_timestamp(), paused_until = null, resumed_at = null`)
    await untilEnd()
    await query(`update pauses set resumed_at = clock_timestamp() where component = '${component}'`)
    return undefined
  },
}))
