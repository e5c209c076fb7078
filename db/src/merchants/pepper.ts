import { createHmac } from 'node:crypto'
import * as z from 'zod'

/** What the hashes of keys are made with. It is not stored in the database: a copied database is of no use for guessing. */
export interface Pepper {
  /** Names the pepper next to a hash, without revealing it. */
  readonly id: string
  readonly value: Buffer
}

const PEPPERS_MAX = 8
// Each character is one byte.
const PEPPER = /^[!-+\--~]{32,512}$/

/** A setting that names no usable peppers. Its message shows none of them. */
export class PepperError extends Error {
  readonly code = 'pepper_invalid'
}

/**
 * Reads peppers that are separated by commas. The first one signs new keys, all of them verify. The bytes of a pepper are
 * those of its text.
 *
 * @throws PepperError
 */
export function parsePeppers(setting: string): readonly [Pepper, ...Pepper[]] {
  const [first, ...rest] = setting.split(',').map((text) => toPepper(text.trim()))
  if (first === undefined || rest.length >= PEPPERS_MAX)
    throw new PepperError(`must have at most ${PEPPERS_MAX} peppers, separated by commas`)
  if (new Set([first, ...rest].map(({ id }) => id)).size <= rest.length)
    throw new PepperError('must not have the same pepper twice')
  return [first, ...rest]
}

function toPepper(text: string): Pepper {
  if (!PEPPER.test(text))
    throw new PepperError(
      'must have 32 to 512 printable ASCII characters a pepper, as "openssl rand -base64 32" makes; commas separate peppers',
    )
  const value = Buffer.from(text)
  // A MAC of a fixed text tells nothing about a pepper that cannot be guessed.
  return { id: createHmac('sha256', value).update('cashflow pepper id').digest('hex').slice(0, 12), value }
}

/** The setting of processes that create or verify keys. */
export const pepperEnv = {
  KEY_PEPPER: z
    .string()
    .transform((text, context) => {
      try {
        return parsePeppers(text)
      } catch (error) {
        if (!(error instanceof PepperError)) throw error
        context.addIssue(error.message)
        return z.NEVER
      }
    })
    .optional(),
}
