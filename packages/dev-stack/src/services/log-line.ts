import { styleText } from 'node:util'

export type LogLine = { time: string; level: string; message: string; fields: Record<string, unknown> }

export type LogLevel = 'error' | 'warn' | 'info' | 'debug'

const LEVELS: readonly string[] = ['error', 'warn', 'info', 'debug']
const LEVEL_STYLES = { error: 'red', warn: 'yellow', info: 'green', debug: 'gray' } as const
const LABEL_STYLES = { api: 'cyan', relay: 'magenta', worker: 'blue' } as const

/** What our logger writes where there is no terminal; anything else (a crash, say) is a line of its own kind. */
export function parseLogLine(line: string): LogLine | undefined {
  if (!line.startsWith('{')) return undefined
  try {
    const { time, level, message, service: _, ...fields } = JSON.parse(line) as Record<string, unknown>
    if (typeof time !== 'string' || typeof level !== 'string' || typeof message !== 'string') return undefined
    return { time, level, message, fields }
  } catch {
    return undefined
  }
}

export function isAtLeast(level: string, threshold: LogLevel): boolean {
  return LEVELS.indexOf(level) <= LEVELS.indexOf(threshold)
}

/** `12:00:00.000  worker 2  info   payment settled payment_id=…`, coloured where standard output is a terminal. */
export function formatLogLine(label: string, labelWidth: number, { time, level, message, fields }: LogLine): string {
  const facts = Object.entries(fields).map(([name, value]) => styleText('gray', `${name}=`) + inline(value))
  const line = [
    styleText('gray', time.slice(11, 23)),
    styleText(LABEL_STYLES[label.split(' ')[0] as keyof typeof LABEL_STYLES] ?? 'gray', label.padEnd(labelWidth)),
    styleText(LEVEL_STYLES[level as LogLevel] ?? 'gray', level.padEnd(5)),
    [message, ...facts].join(' '),
  ].join('  ')
  const stacks = level === 'error' ? Object.values(fields).flatMap(stackOf) : []
  return [line, ...stacks].join('\n')
}

function inline(value: unknown): string {
  const shown = isError(value) ? value.message : value
  return typeof shown === 'string' && /^\S+$/.test(shown) ? shown : JSON.stringify(shown)
}

function stackOf(value: unknown): string[] {
  if (!isError(value) || typeof value.stack !== 'string') return []
  const frames = value.stack.split('\n').filter((line) => line.trimStart().startsWith('at '))
  return frames.map((frame) => styleText('gray', frame))
}

function isError(value: unknown): value is { message: string; stack?: unknown } {
  return typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string'
}
