import { hkdfSync } from 'node:crypto'
import { type Pepper, readCursorSecret, type Tables } from '@cashflow/db'
import type { Kysely } from 'kysely'

/** The first one signs, all of them verify. */
export type Keys = readonly [Buffer, ...Buffer[]]

export interface ConsoleKeys {
  /** Keys of login tokens. */
  readonly tokens: Keys
  /** Keys of cookies. A token is no cookie: another key signs it. */
  readonly cookies: Keys
}

const KEY_BYTES = 32

/**
 * Derives the keys of the console (HKDF, RFC 5869) from the peppers, or without one from the deployment's secret. The
 * deployment's secret is the salt, so that a token of one deployment is of no use in another one with the same pepper.
 *
 * @param peppers of `KEY_PEPPER`. The first one signs, all of them verify
 */
export async function readConsoleKeys(
  db: Kysely<Tables>,
  peppers: readonly [Pepper, ...Pepper[]] | undefined,
): Promise<ConsoleKeys> {
  const secret = await readCursorSecret(db)
  const [first, ...rest] = peppers ? peppers.map(({ value }) => value) : []
  const keysOf = (use: string): Keys => {
    const derive = (root: Buffer) => Buffer.from(hkdfSync('sha256', root, secret, `cashflow console ${use}`, KEY_BYTES))
    return [derive(first ?? secret), ...rest.map(derive)]
  }
  return { tokens: keysOf('login token'), cookies: keysOf('cookie') }
}
