import { createHmac, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Pepper } from './pepper.ts'

// cf_{test|live}_<id>_<secret><checksum>
//
// 72 random bits of id need 13 digits of base 62, 192 of secret 33, and the CRC-32 of all that stands before it 6. All widths
// are fixed, so a secret scanner finds keys by one expression. An id of 72 bits begins with 0 or 1. The other digits are free
// for a later kind of key.
const ID_BYTES = 9
const ID_DIGITS = 13
const SECRET_BYTES = 24
const SECRET_DIGITS = 33
const CHECKSUM_DIGITS = 6
const KEY = /^cf_(?:test|live)_([0-9A-Za-z]{13})_[0-9A-Za-z]{39}$/
const KEY_LENGTH = 'cf_test_'.length + ID_DIGITS + '_'.length + SECRET_DIGITS + CHECKSUM_DIGITS

/** What a key may allow. */
export const KEY_SCOPES = ['payments:read', 'payments:write', 'webhooks:manage'] as const
export type KeyScope = (typeof KEY_SCOPES)[number]

export const KEY_ID = /^[0-9A-Za-z]{13}$/

/** A key as it is created. Only its owner keeps `secret`. */
export interface NewKey {
  readonly id: string
  /** The whole text of the key. */
  readonly secret: string
  readonly hash: Buffer
  readonly pepperId: string
}

export interface NewKeyOptions {
  sandbox: boolean
  /** Signs the key. */
  pepper: Pepper
  random?: (bytes: number) => Buffer
}

export function newKey({ sandbox, pepper, random = randomBytes }: NewKeyOptions): NewKey {
  const id = digits(toInteger(random(ID_BYTES)), ID_DIGITS)
  const unchecked = `${prefix(sandbox)}${id}_${digits(toInteger(random(SECRET_BYTES)), SECRET_DIGITS)}`
  const secret = unchecked + checksum(unchecked)
  return { id, secret, hash: hashKey(secret, pepper), pepperId: pepper.id }
}

/**
 * Reads a key's id. It needs no look-up, so a mistyped or cut key, and one of the other kind of deployment, cost nothing.
 *
 * @returns undefined if the text is no key of this deployment: its length, prefix, characters or checksum are wrong
 */
export function readKey(text: string, { sandbox }: { sandbox: boolean }): { id: string; text: string } | undefined {
  if (text.length !== KEY_LENGTH || !text.startsWith(prefix(sandbox))) return undefined
  const id = KEY.exec(text)?.[1]
  if (id === undefined || !text.endsWith(checksum(text.slice(0, -CHECKSUM_DIGITS)))) return undefined
  return { id, text }
}

/**
 * What is stored of a key: HMAC-SHA-256 of its whole text. A slow hash, as passwords need, would add nothing: 192 random bits
 * cannot be guessed.
 */
export function hashKey(text: string, pepper: Pepper): Buffer {
  return createHmac('sha256', pepper.value).update(text).digest()
}

function prefix(sandbox: boolean): string {
  return sandbox ? 'cf_test_' : 'cf_live_'
}

function checksum(text: string): string {
  // Each request checks a key. With BigInt, as `digits` has it, that takes 0.6 µs longer.
  let checked = ''
  for (let rest = crc32(text); checked.length < CHECKSUM_DIGITS; rest = Math.floor(rest / ALPHABET.length))
    checked = `${ALPHABET[rest % ALPHABET.length]}${checked}`
  return checked
}

function toInteger(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`)
}

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** Digits of base 62, the most significant first, with leading zeros. */
function digits(value: bigint, width: number): string {
  let text = ''
  for (let rest = value; text.length < width; rest /= 62n) text = `${ALPHABET[Number(rest % 62n)]}${text}`
  return text
}
