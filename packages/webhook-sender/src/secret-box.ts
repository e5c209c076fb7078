import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { SealingKey } from './sealing-keys.ts'

/** A secret as the database stores it. */
export interface Sealed {
  /** A version byte, the nonce, the ciphertext and its tag. */
  readonly sealed: Buffer
  /** Names the key that it was sealed with. */
  readonly keyId: string
}

export interface SecretBox {
  /** The key that seals. */
  readonly currentKeyId: string
  /** Encrypts and authenticates a secret for one endpoint. The same secret is sealed differently each time. */
  seal(secret: string, endpointId: string): Sealed
  /** @throws SecretKeyError if its key is not in the list, or it was changed, or it was sealed for another endpoint */
  open(sealed: Sealed, endpointId: string): string
}

/** A sealed secret that cannot be opened. The message names the key by its id, and shows no secret. */
export class SecretKeyError extends Error {
  readonly code: 'secrets_key_unknown' | 'secret_changed'
  readonly keyId: string

  constructor(code: SecretKeyError['code'], keyId: string) {
    super(
      code === 'secrets_key_unknown'
        ? `the secret is sealed with key ${keyId}, which is not in SECRETS_KEY`
        : `the secret sealed with key ${keyId} was changed in the database, or belongs to another endpoint`,
    )
    this.code = code
    this.keyId = keyId
  }
}

const CIPHER = 'aes-256-gcm'
const VERSION = 1
const NONCE_BYTES = 12
const TAG_BYTES = 16
const HEAD_BYTES = 1 + NONCE_BYTES
/** Opened secrets that are kept in memory. Most requests go to few endpoints, and opening costs as much as signing. */
const OPENED_MAX = 1_000

/** @param keys the first one seals, all of them open */
export function createSecretBox(keys: readonly [SealingKey, ...SealingKey[]]): SecretBox {
  const [current] = keys
  const opened = new Map<string, string>()
  return {
    currentKeyId: current.id,
    seal(secret, endpointId) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(CIPHER, current.key, nonce, { authTagLength: TAG_BYTES })
      cipher.setAAD(boundTo(endpointId))
      const text = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final()])
      return { sealed: Buffer.concat([Buffer.of(VERSION), nonce, text, cipher.getAuthTag()]), keyId: current.id }
    },
    open({ sealed, keyId }, endpointId) {
      const name = `${endpointId.toLowerCase()} ${keyId} ${sealed.toString('base64')}`
      const known = opened.get(name)
      if (known !== undefined) return known
      const key = keys.find(({ id }) => id === keyId)?.key
      if (!key) throw new SecretKeyError('secrets_key_unknown', keyId)
      const secret = sealed[0] === VERSION ? decrypt(key, sealed, endpointId) : undefined
      if (secret === undefined) throw new SecretKeyError('secret_changed', keyId)
      const [oldest] = opened.keys()
      if (oldest !== undefined && opened.size >= OPENED_MAX) opened.delete(oldest)
      opened.set(name, secret)
      return secret
    },
  }
}

/** @returns undefined for bytes that `seal` has not made for this endpoint with this key */
function decrypt(key: Buffer, sealed: Buffer, endpointId: string): string | undefined {
  if (sealed.length < HEAD_BYTES + TAG_BYTES) return undefined
  const tag = sealed.subarray(-TAG_BYTES)
  const cipher = createDecipheriv(CIPHER, key, sealed.subarray(1, HEAD_BYTES), { authTagLength: TAG_BYTES })
  cipher.setAAD(boundTo(endpointId)).setAuthTag(tag)
  try {
    return Buffer.concat([cipher.update(sealed.subarray(HEAD_BYTES, -TAG_BYTES)), cipher.final()]).toString()
  } catch {
    return undefined // OpenSSL says no more than that it does not fit.
  }
}

/** A secret that is copied to the row of another endpoint does not open there. */
function boundTo(endpointId: string): Buffer {
  return Buffer.concat([Buffer.of(VERSION), Buffer.from(endpointId.toLowerCase())])
}
