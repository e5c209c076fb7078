import { randomUUID } from 'node:crypto'
import type { Role } from '../../answers.ts'
import { type Grant, sealGrant } from './grant.ts'
import type { ConsoleKeys } from './keys.ts'

export { type ConsoleKeys, readConsoleKeys } from './keys.ts'

/** Time for which a login token is good. */
const TOKEN_MS = 600_000

export interface NewLoginToken {
  /** The operator that logs in with it, as the audit log will have it. */
  readonly name: string
  readonly role: Role
  readonly keys: Pick<ConsoleKeys, 'tokens'>
}

/** Creates a token that is good for one login within 10 minutes. It is not stored. */
export function createLoginToken({ name, role, keys }: NewLoginToken): {
  readonly token: string
  readonly grant: Grant
} {
  const grant: Grant = { id: randomUUID(), name, role, expiresAt: new Date(Date.now() + TOKEN_MS) }
  return { token: sealGrant(grant, keys.tokens), grant }
}
