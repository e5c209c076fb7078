import { now } from '../clock.ts'
import { relativeText } from '../text/durations.ts'
import { clockText, exactText, localText } from '../text/times.ts'

interface TimeProps {
  readonly at: string
}

/** How long ago, with the exact time in the viewer's zone and in UTC on hover. */
export function Ago({ at }: TimeProps) {
  const date = new Date(at)
  // A time that was changed by hand may have no date.
  if (Number.isNaN(date.getTime())) return <span>{at}</span>
  return (
    <time dateTime={at} title={exactText(date)}>
      {relativeText(date.getTime(), now.value)}
    </time>
  )
}

/** The time in the viewer's zone, with UTC on hover. */
export function At({ at, isClock = false }: TimeProps & { readonly isClock?: boolean }) {
  const date = new Date(at)
  if (Number.isNaN(date.getTime())) return <span>{at}</span>
  return (
    <time dateTime={at} title={exactText(date)}>
      {isClock ? clockText(date) : localText(date)}
    </time>
  )
}
