import type { Logger } from '../src/index.ts'

export interface LogLine {
  level: keyof Logger
  message: string
  fields: Readonly<Record<string, unknown>>
}

/** A logger that keeps its lines. */
export function createRecorder(): Logger & { lines: LogLine[]; said(message: string): LogLine[] } {
  const lines: LogLine[] = []
  const at =
    (level: keyof Logger) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}) => {
      lines.push({ level, message, fields })
    }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    lines,
    said: (message) => lines.filter((line) => line.message === message),
  }
}
