/** Writes seconds as a duration of Prometheus, such as `1h5m`. */
export function duration(seconds: number): string {
  const [days, hours, minutes, rest] = [86_400, 3_600, 60, 1].map((unit, index, units) => {
    const within = index === 0 ? seconds : seconds % (units[index - 1] ?? 1)
    return Math.floor(within / unit)
  })
  const text = `${days}d${hours}h${minutes}m${rest}s`
  return text.replaceAll(/\b0[dhm]|(?<=[dhm])0[hms]/g, '') || '0s'
}
