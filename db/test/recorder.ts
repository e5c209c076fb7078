import type { LogFields, Logger } from '@cashflow/runtime'

/** A logger that keeps its lines. */
export function recorder() {
  const lines: (LogFields & { level: string; message: string })[] = []
  const at = (level: string) => (message: string, fields?: LogFields) => void lines.push({ ...fields, level, message })
  const logger: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  return { lines, logger }
}
