const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** A length of time in its two largest units, such as `850 ms`, `1.2 s`, `3 min 20 s` or `2 d 4 h`. */
export function durationText(ms: number): string {
  const length = Math.max(0, ms)
  if (length < 1) return '0 ms'
  if (Math.round(length) < SECOND) return `${Math.round(length)} ms`
  if (length < 9.95 * SECOND) return `${Number((length / SECOND).toFixed(1))} s`
  const seconds = Math.round(length / SECOND) * SECOND
  if (seconds < MINUTE) return `${seconds / SECOND} s`
  if (seconds < HOUR) return twoUnits(seconds, [MINUTE, 'min'], [SECOND, 's'])
  if (seconds < DAY) return twoUnits(seconds, [HOUR, 'h'], [MINUTE, 'min'])
  return twoUnits(seconds, [DAY, 'd'], [HOUR, 'h'])
}

type Unit = readonly [ms: number, name: string]

function twoUnits(ms: number, [large, largeName]: Unit, [small, smallName]: Unit): string {
  const rest = Math.floor((ms % large) / small)
  const first = `${Math.floor(ms / large)} ${largeName}`
  return rest === 0 ? first : `${first} ${rest} ${smallName}`
}

/** A time relative to now in its largest unit, such as `12 s ago` or `in 3 min`. */
export function relativeText(atMs: number, nowMs: number): string {
  const ms = nowMs - atMs
  const length = Math.abs(ms)
  // The clock of the page moves once a second, so what has just been made is up to 2 seconds ahead of it.
  if (ms < SECOND && ms > -2 * SECOND) return 'now'
  const text = largestUnit(length)
  return ms < 0 ? `in ${text}` : `${text} ago`
}

function largestUnit(ms: number): string {
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`
  return ms < DAY ? `${Math.floor(ms / HOUR)} h` : `${Math.floor(ms / DAY)} d`
}

/** A length of time in one unit, for the axis of a chart. */
export function axisDuration(ms: number): string {
  if (ms < SECOND) return `${ms} ms`
  if (ms < 2 * MINUTE) return `${ms / SECOND} s`
  return ms < 2 * HOUR ? `${Math.round(ms / MINUTE)} min` : `${Math.round(ms / HOUR)} h`
}
