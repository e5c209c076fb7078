import { defined } from '@cashflow/async'
import { createDatabase, type Database, type Done, KEY_SCOPES, parsePeppers } from '@cashflow/db'
import { createKey, createMerchant, listMerchants, revokeKey } from '@cashflow/db/operator'
import { eventually, nullLogger } from '@cashflow/testing'
import type { Answer } from './payment-request.ts'

/** A merchant. All its clients send its present key. */
export interface Merchant {
  readonly id: string
  key: Key
}

/** A key, with what it was answered with. */
export interface Key {
  readonly id: string
  readonly secret: string
  readonly uses: KeyUse[]
  /** When its revocation was sent to PostgreSQL, and when it was confirmed, in milliseconds since 1970. */
  revoked?: { readonly from: number; readonly to: number }
}

/** A request with a key. Times are in milliseconds since 1970. */
export interface KeyUse {
  readonly sentAt: number
  readonly answeredAt: number
  readonly status: Answer['status']
}

export type Merchants = Awaited<ReturnType<typeof createMerchants>>

/** The setting KEY_PEPPER of the APIs. */
export const KEY_PEPPER = 'the-keys-of-a-chaos-run-have-this-pepper'

const CHAOS = { actor: 'chaos', via: 'chaos' }
const NAMES = ['one merchant', 'another merchant']
const [PEPPER] = parsePeppers(KEY_PEPPER)
/** Longer than PostgreSQL is unavailable in any fault, also on a slow machine. */
const COMMAND_MS = 120_000

/**
 * Creates merchants with a key each, in a sandbox. It connects to PostgreSQL directly, as an operator's command does.
 *
 * @param postgres its `url` is that of the present primary
 */
export async function createMerchants(postgres: { readonly url: string }) {
  const keys: Key[] = []

  /** Runs a command on the primary, as soon as the primary accepts it. It may run twice. */
  const command = <Result>(act: (db: Database) => Promise<Result>): Promise<Result> =>
    eventually(
      async () => {
        const db = createDatabase({
          url: postgres.url,
          applicationName: 'chaos-operator',
          poolMax: 1,
          sandbox: true,
          logger: nullLogger,
        })
        return await act(db).finally(() => db.destroy())
      },
      { timeoutMs: COMMAND_MS },
    )

  async function freshKey(merchantId: string): Promise<Key> {
    const options = { merchantId, name: 'chaos', scopes: KEY_SCOPES, sandbox: true, pepper: PEPPER, by: CHAOS }
    const { key, secret } = done(await command((db) => createKey(db, options)))
    const fresh: Key = { id: key.id, secret, uses: [] }
    keys.push(fresh)
    return fresh
  }

  for (const name of NAMES) await command((db) => createMerchant(db, { name, by: CHAOS }))
  const stored = (await command(listMerchants)).filter(({ name }) => NAMES.includes(name))
  const all: Merchant[] = []
  for (const { id } of stored) all.push({ id, key: await freshKey(id) })
  return {
    all: all as readonly Merchant[],
    /** Every key of the run, also those that were revoked. */
    keys: keys as readonly Key[],
    /** Revokes the present key of a merchant. Its clients go on sending it. */
    async revoke({ key }: Merchant): Promise<void> {
      const from = Date.now()
      // Before it is sent: the APIs may refuse the key before its answer arrives here.
      key.revoked = { from, to: Number.POSITIVE_INFINITY }
      done(await command((db) => revokeKey(db, { id: key.id, by: CHAOS })))
      key.revoked = { from, to: Date.now() }
    },
    /** Creates a key that the merchant's clients send from now on. */
    async replaceKey(merchant: Merchant): Promise<void> {
      merchant.key = await freshKey(merchant.id)
    },
  }
}

/** Returns the present key of a payment's merchant, and that of another merchant if there is one. */
export function keysOf(merchants: readonly Merchant[], { merchantId }: { merchantId: string }) {
  const own = defined(
    merchants.find(({ id }) => id === merchantId),
    `merchant ${merchantId}`,
  )
  return { own: own.key, foreign: merchants.find((merchant) => merchant !== own)?.key }
}

function done<Result>(result: Done<Result>): Result {
  if (!result.done) throw new Error(result.why)
  return result
}
