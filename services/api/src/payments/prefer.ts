import type { IncomingMessage } from 'node:http'
import * as z from 'zod'

/** The longest time that a request waits, in seconds. */
const WAIT_MAX_S = 30
// The header is read before it is known whether its client is honest, so it costs little.
const LENGTH_MAX = 255

/** For the API's document. A preference that cannot be used is ignored. */
export const preferHeader = z
  .string()
  .regex(/^[ -~]*$/)
  .max(LENGTH_MAX)
  .optional()
  .meta({
    description: `\`wait=N\` (RFC 7240): the answer waits until the payment is settled, or for N seconds, at most ${WAIT_MAX_S}. \`Preference-Applied\` tells that it did.`,
    examples: ['wait=10'],
  })

/** A preference with its parameters. A comma may stand in a quoted string. */
const PREFERENCE = /(?:[^,"]|"(?:[^"\\]|\\.)*")+/g
const WAIT = /^\s*wait\s*=\s*(?:(\d+)|"(\d+)")\s*(?:;.*)?$/i

/**
 * Reads the preference `wait` of the header `Prefer` (RFC 7240 §4.3): how many seconds the client would like the answer to
 * wait. A longer time than 30 s means 30 s. Of several `wait`, the first one counts (§2).
 *
 * @returns undefined without it, and where it is malformed: a preference that cannot be used is ignored
 */
export function readWait({ headers }: IncomingMessage): number | undefined {
  const text = [headers.prefer ?? ''].flat().join()
  if (text === '' || text.length > LENGTH_MAX) return undefined
  const wait = text.match(PREFERENCE)?.find((preference) => /^\s*wait\s*(?:[=;]|$)/i.test(preference))
  const [, bare, quoted] = WAIT.exec(wait ?? '') ?? []
  const seconds = bare ?? quoted
  return seconds === undefined ? undefined : Math.min(WAIT_MAX_S, Number(seconds))
}
