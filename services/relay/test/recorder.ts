import type { LogFields, Logger } from '@cashflow/runtime'

/** A logger that keeps its lines. */
export function createRecorder() {
  const lines: { level: string; message: string; fields: LogFields }[] = []
  const write =
    (level: string) =>
    (message: string, fields: LogFields = {}) =>
      void lines.push({ level, message, fields })
  const logger: Logger = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') }
  return { lines, logger, linesOf: (message: string) => lines.filter((line) => line.message === message) }
}
