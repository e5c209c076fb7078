import { randomUUID } from 'node:crypto'
import type { StoredKey } from '@cashflow/db'

/** A key in force, as PostgreSQL answers. */
export function aStoredKey(fields: Partial<StoredKey> = {}): StoredKey {
  return {
    id: '0123456789abc',
    merchantId: randomUUID(),
    hash: Buffer.alloc(32),
    pepperId: '000000000000',
    scopes: ['payments:read', 'payments:write'],
    expiresAt: null,
    revokedAt: null,
    now: new Date(),
    ...fields,
  }
}
