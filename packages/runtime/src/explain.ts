import type { LogFields } from './logger.ts'
import { errorMessage } from './redact.ts'

/**
 * Why a process has to give up, as log fields. An error with a code speaks of its surroundings: a port, a login, a schema.
 * Any other is a bug of ours, and its stack is wanted.
 */
export function explain(error: unknown): LogFields {
  if (!(error instanceof Error && 'code' in error)) return { error }
  return { reason: errorMessage(error), code: error.code }
}
