import type { Failover } from '../facts.ts'
import type { Sighting } from '../observer.ts'

/**
 * Whether what was published about a payment may be the last that a lost primary said: nobody else ever had it. All that
 * the primary had shown before a failover began is on the standby by the time the primary is killed, so nothing that was
 * seen earlier is excused; and nothing that first appears later, since then nobody reads the lost one any more. Copies may
 * come much later, and letters about them: only the first sighting counts.
 */
export function areLastWords(sightings: readonly Sighting[], failovers: readonly Failover[]): boolean {
  const firstAt = Math.min(...sightings.map(({ at }) => at))
  return failovers.some(({ from, to }) => firstAt >= from && firstAt <= to)
}
