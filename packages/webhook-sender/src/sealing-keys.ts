import { createHmac, hkdfSync } from 'node:crypto'
import * as z from 'zod'

/** What secrets of endpoints are sealed with. It is not stored in the database: a copied database signs nothing. */
export interface SealingKey {
  /** Names the key next to a sealed secret, without revealing it. */
  readonly id: string
  /** Of AES-256, derived from the setting. */
  readonly key: Buffer
}

const KEYS_MAX = 8
// Each character is one byte.
const KEY = /^[!-+\--~]{32,512}$/

/** A setting that names no usable keys. Its message shows none of them. */
export class SealingKeyError extends Error {
  readonly code = 'sealing_key_invalid'
}

/**
 * Reads keys that are separated by commas. The first one seals, all of them open. The bytes of a key are those of its text.
 *
 * @throws SealingKeyError
 */
export function parseSealingKeys(setting: string): readonly [SealingKey, ...SealingKey[]] {
  const [first, ...rest] = setting.split(',').map((text) => toSealingKey(text.trim()))
  if (first === undefined || rest.length >= KEYS_MAX)
    throw new SealingKeyError(`must have at most ${KEYS_MAX} keys, separated by commas`)
  if (new Set([first, ...rest].map(({ id }) => id)).size <= rest.length)
    throw new SealingKeyError('must not have the same key twice')
  return [first, ...rest]
}

function toSealingKey(text: string): SealingKey {
  if (!KEY.test(text))
    throw new SealingKeyError(
      'must have 32 to 512 printable ASCII characters a key, as "openssl rand -base64 32" makes; commas separate keys',
    )
  return {
    // A MAC of a fixed text tells nothing about a key that cannot be guessed.
    id: createHmac('sha256', text).update('cashflow sealing key id').digest('hex').slice(0, 12),
    key: Buffer.from(hkdfSync('sha256', text, '', 'cashflow webhook secrets', 32)),
  }
}

/** The setting of processes that seal or open secrets of endpoints. */
export const secretsEnv = {
  SECRETS_KEY: z
    .string()
    .transform((text, context) => {
      try {
        return parseSealingKeys(text)
      } catch (error) {
        if (!(error instanceof SealingKeyError)) throw error
        context.addIssue(error.message)
        return z.NEVER
      }
    })
    .optional(),
}
