import { formatLogLine, isAtLeast, type LogLevel, parseLogLine } from './log-line.ts'

/** Prints what the services log, one readable line each. */
export type LogPrinter = {
  /** A line as a service wrote it. */
  print(label: string, line: string): void
  /** A line of the stack's own. */
  log(level: LogLevel, message: string, fields?: Record<string, unknown>): void
  /** Until then news wait, but never warnings: what is said on the way, and why a start failed, should stay readable. */
  release(): void
}

export function createLogPrinter(options: {
  write: (line: string) => void
  level: LogLevel
  labelWidth: number
}): LogPrinter {
  const { write, level, labelWidth } = options
  let waiting: string[] | undefined = []
  const print = (label: string, raw: string) => {
    const line = parseLogLine(raw)
    if (!line) return write(`${label.padEnd(labelWidth)}  ${raw}`)
    if (!isAtLeast(line.level, level)) return
    const text = formatLogLine(label, labelWidth, line)
    if (waiting && !isAtLeast(line.level, 'warn')) waiting.push(text)
    else write(text)
  }
  return {
    print,
    log: (at, message, fields) =>
      print('stack', JSON.stringify({ time: new Date().toISOString(), level: at, message, ...fields })),
    release() {
      for (const line of waiting ?? []) write(line)
      waiting = undefined
    },
  }
}
