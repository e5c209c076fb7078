import { styleText } from 'node:util'
import { visible } from '@cashflow/runtime'
import { type LogLine, parseLogLine } from './processes/service-process.ts'

type LogLevel = 'error' | 'warn' | 'info' | 'debug'

export type LogPrinter = ReturnType<typeof createLogPrinter>

interface LogPrinterOptions {
  write: (line: string) => void
  level: LogLevel
  labelWidth: number
}

const LEVELS: readonly string[] = ['error', 'warn', 'info', 'debug']
const LEVEL_STYLES = { error: 'red', warn: 'yellow', info: 'green', debug: 'gray' } as const
const LABEL_STYLES = { api: 'cyan', relay: 'magenta', worker: 'blue', webhooks: 'green' } as const

/**
 * Prints the services' logs, one readable line for each log line. Holds back info and debug lines until `release()`, so that the progress of the start, and the reason of a failed one,
 * stay readable. Errors and warnings are printed immediately.
 */
export function createLogPrinter({ write, level, labelWidth }: LogPrinterOptions) {
  let heldBack: string[] | undefined = []
  /** Prints a line of a service. Control characters are written as escapes: operators choose reasons and names. */
  const print = (label: string, raw: string) => {
    const line = parseLogLine(raw)
    if (!line?.time || !line.level) return write(`${label.padEnd(labelWidth)}  ${visible(raw)}`)
    if (!isAtLeast(line.level, level)) return
    const text = format(label, labelWidth, line as Required<LogLine>)
    if (heldBack && !isAtLeast(line.level, 'warn')) heldBack.push(text)
    else write(text)
  }
  return {
    print,
    /** Prints a line of the stack itself. */
    log: (at: LogLevel, message: string, fields?: Record<string, unknown>) =>
      print('stack', JSON.stringify({ time: new Date().toISOString(), level: at, message, ...fields })),
    /** Prints the lines held back so far, and holds back no more. */
    release() {
      for (const line of heldBack ?? []) write(line)
      heldBack = undefined
    },
  }
}

function isAtLeast(level: string, threshold: LogLevel): boolean {
  return LEVELS.indexOf(level) <= LEVELS.indexOf(threshold)
}

/** `12:00:00.000  worker 2  info   payment settled payment_id=…`, coloured where standard output is a terminal. */
function format(label: string, labelWidth: number, line: Required<LogLine>): string {
  const { time, level, message, service: _, ...fields } = line
  const facts = Object.entries(fields).map(([name, value]) => styleText('gray', `${visible(name)}=`) + inline(value))
  const shown = [
    styleText('gray', visible(time.slice(11, 23))),
    styleText(LABEL_STYLES[label.split(' ')[0] as keyof typeof LABEL_STYLES] ?? 'gray', label.padEnd(labelWidth)),
    styleText(LEVEL_STYLES[level as LogLevel] ?? 'gray', visible(level).padEnd(5)),
    [visible(message), ...facts].join(' '),
  ].join('  ')
  const stacks = level === 'error' ? Object.values(fields).flatMap(stackOf) : []
  return [shown, ...stacks].join('\n')
}

function inline(value: unknown): string {
  const shown = isError(value) ? value.message : value
  return visible(typeof shown === 'string' && /^\S+$/.test(shown) ? shown : JSON.stringify(shown))
}

function stackOf(value: unknown): string[] {
  if (!isError(value) || typeof value.stack !== 'string') return []
  const frames = value.stack.split('\n').filter((line) => line.trimStart().startsWith('at '))
  return frames.map((frame) => styleText('gray', visible(frame)))
}

function isError(value: unknown): value is { message: string; stack?: unknown } {
  return typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string'
}
