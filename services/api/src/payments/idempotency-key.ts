import type { IncomingMessage } from 'node:http'
import * as z from 'zod'
import { Problem } from '../problem.ts'

const LENGTH_MAX = 255
/** A character in a String of structured fields (RFC 9651 §3.3.3). */
const QUOTED_CHAR = '(?:[ !#-\\[\\]-~]|\\\\["\\\\])'
const QUOTED = new RegExp(`^"(${QUOTED_CHAR}*)"$`)
/** Printable ASCII, without what delimits strings, members of lists and parameters of structured fields. */
const BARE_CHAR = '[!#-+\\-.-:<-~]'
const BARE = new RegExp(`^${BARE_CHAR}+$`)

/** For the API's document: the header as `readIdempotencyKey` accepts it. */
export const idempotencyKeyHeader = z
  .string()
  .max(2 * LENGTH_MAX + 2)
  .regex(new RegExp(`^(?:"${QUOTED_CHAR}{1,${LENGTH_MAX}}"|${BARE_CHAR}{1,${LENGTH_MAX}})$`))
  .optional()
  .meta({
    description:
      'Makes the request safe to repeat: a key of a merchant makes one payment, forever. The same request gets the same 201 again, with `Idempotent-Replayed`. The key is a String of structured fields (RFC 9651), or the same key without quotes. Aligned with draft-ietf-httpapi-idempotency-key-header-07.',
    examples: ['"order-4711"'],
  })

/**
 * Reads the header `Idempotency-Key`: a String of structured fields as in draft-ietf-httpapi-idempotency-key-header-07, or
 * the same key without quotes, as many clients send it. `"a"` and `a` are one key.
 *
 * @returns undefined if the request has no such header
 * @throws Problem `bad-request` that says what is wrong
 */
export function readIdempotencyKey(req: IncomingMessage): string | undefined {
  const text = req.headers['idempotency-key']
  if (text === undefined) return undefined
  // Node joins two headers with a comma. The result may look like one key.
  if (text.includes(',') && req.headersDistinct['idempotency-key']?.length !== 1)
    throw new Problem('bad-request', 'The request has more than one Idempotency-Key header.')
  const key = keyOf(String(text))
  if (key === undefined)
    throw new Problem(
      'bad-request',
      'Idempotency-Key must be a quoted string of printable ASCII characters, in which \\ stands before each " and \\, or an unquoted key without spaces, ", comma and semicolon. It has no parameters.',
    )
  if (key.length < 1 || key.length > LENGTH_MAX)
    throw new Problem('bad-request', `Idempotency-Key must have 1 to ${LENGTH_MAX} characters.`)
  return key
}

function keyOf(text: string): string | undefined {
  const quoted = QUOTED.exec(text)?.[1]
  if (quoted !== undefined) return quoted.replaceAll(/\\(.)/g, '$1')
  return text === '' || BARE.test(text) ? text : undefined
}
