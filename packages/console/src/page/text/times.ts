const two = (number: number) => String(number).padStart(2, '0')

/** The local date and time of day to the second, such as `2026-12-01 12:32:08`. */
export function localText(at: Date): string {
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${clockText(at)}`
}

/** The local time of day, such as `12:32:08`. */
export function clockText(at: Date): string {
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`
}

/** The exact local time with its offset, and the same in UTC. */
export function exactText(at: Date): string {
  const offset = -at.getTimezoneOffset()
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`
  const ms = String(at.getMilliseconds()).padStart(3, '0')
  return `${localText(at)}.${ms} ${zone}\n${at.toISOString().replace('T', ' ').replace('Z', ' UTC')}`
}
