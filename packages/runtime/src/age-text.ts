const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const

/** A span of time in its two largest units: `350ms`, `1.5s`, `42s`, `5m 10s`, `3d 4h`. */
export function ageText(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`
  if (ms < 10_000) return `${Math.floor(ms / 100) / 10}s`
  const at = UNITS.findIndex(([, unitMs]) => ms >= unitMs)
  const [[unit, unitMs], next] = [UNITS[at] ?? UNITS[3], UNITS[at + 1]]
  const rest = next ? Math.floor((ms % unitMs) / next[1]) : 0
  return `${Math.floor(ms / unitMs)}${unit}${next && rest > 0 ? ` ${rest}${next[0]}` : ''}`
}
