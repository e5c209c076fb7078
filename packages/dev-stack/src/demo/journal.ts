import type { LogPrinter } from '../log-printer.ts'
import { parseLogLine } from '../processes/service-process.ts'

export type Journal = ReturnType<typeof createJournal>

const LINES_KEPT = 30

/** Keeps what the services log: who settled which payment, and the last lines, for the reason of a failure. */
export function createJournal() {
  const settledBy = new Map<string, string>()
  const leased = new Set<string>()
  const lines: string[] = []
  const keep = (line: string) => {
    lines.push(line)
    if (lines.length > LINES_KEPT) lines.shift()
  }
  const printer: LogPrinter = {
    print(label, raw) {
      keep(`${label}  ${raw}`)
      const line = parseLogLine(raw)
      if (line?.message === 'payment settled') settledBy.set(String(line.payment_id), label)
      if (line?.message === 'payment is leased, its message is rescheduled') leased.add(String(line.payment_id))
    },
    log: (level, message, fields) => keep(`stack  ${level} ${message} ${JSON.stringify(fields ?? {})}`),
    release() {},
  }
  return {
    printer,
    /** The worker that settled each payment, by the payment's id. */
    settledBy: settledBy as ReadonlyMap<string, string>,
    /** Payments whose message came to a worker while another one had their lease. */
    leased: leased as ReadonlySet<string>,
    lines: lines as readonly string[],
  }
}
