import { randomBytes, randomUUID } from 'node:crypto'
import { createDatabase, KEY_SCOPES, type KeyScope, newKey, parsePeppers } from '@cashflow/db'
import { nullLogger } from '@cashflow/testing'
import type { AuthSettings } from '../../src/config.ts'
import type { ApiUnderTest } from '../start-api.ts'

export const PEPPER = 'p'.repeat(32)

/** Settings of an API that needs keys. */
export const AUTH = { kind: 'api-key', peppers: parsePeppers(PEPPER) } satisfies AuthSettings

/** Settings of a process of the API that needs keys. */
export const KEYS_ON = { AUTH: 'api-key', KEY_PEPPER: PEPPER, RATE_LIMIT: 'off' }

export interface KeyFields {
  merchantId?: string
  scopes?: readonly KeyScope[]
  expiresAt?: Date
  revokedAt?: Date
  createdAt?: Date
  pepper?: string
  /** Makes the id and the secret. */
  random?: (bytes: number) => Buffer
}

/** Stores a key, of a new merchant unless `merchantId` is given. `text` is what its client sends. */
export async function createKey({ db }: Pick<ApiUnderTest, 'db'>, fields: KeyFields = {}) {
  const { merchantId = randomUUID(), scopes = KEY_SCOPES, pepper = PEPPER, random = randomBytes } = fields
  const { id, secret, hash, pepperId } = newKey({ sandbox: true, pepper: parsePeppers(pepper)[0], random })
  await db
    .insertInto('merchants')
    .values({ id: merchantId, name: merchantId })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute()
  await db
    .insertInto('api_keys')
    .values({
      id,
      merchant_id: merchantId,
      name: 'test',
      secret_hash: hash,
      pepper_id: pepperId,
      scopes: [...scopes],
      created_at: fields.createdAt ?? new Date('2026-01-01T00:00:00Z'),
      expires_at: fields.expiresAt ?? null,
      revoked_at: fields.revokedAt ?? null,
    })
    .execute()
  return { id, merchantId, text: secret }
}

/** Stores a key for APIs that are processes of their own, with `KEYS_ON`. */
export async function createKeyIn(url: string) {
  const db = createDatabase({ url, applicationName: 'test', poolMax: 1, logger: nullLogger })
  try {
    return await createKey({ db })
  } finally {
    await db.destroy()
  }
}

/** A well-formed key that no merchant has. */
export function inventedKey({ sandbox = true, random = randomBytes } = {}): string {
  return newKey({ sandbox, random, pepper: AUTH.peppers[0] }).secret
}
