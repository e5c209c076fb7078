import { findKeys, KEY_SCOPES, type Tables, touchKeys } from '@cashflow/db'
import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import { type Component, createCondition, type Logger } from '@cashflow/runtime'
import type { RequestHandler } from 'express'
import type { Kysely } from 'kysely'
import type { AuthSettings } from '../config.ts'
import { Problem } from '../problem.ts'
import { authenticate } from './authenticate.ts'
import { createKeyCache, KNOWN_MAX } from './key-cache.ts'
import { createKeyLookups } from './key-lookups.ts'
import { createKeyUses } from './key-uses.ts'
import { createWrongKeys } from './wrong-keys.ts'

const IDS_MAX = 500

export interface AuthenticationOptions {
  auth: AuthSettings
  db: Kysely<Tables>
  /** True if keys begin with `cf_test_`. */
  sandbox: boolean
  logger: Logger
}

export interface Authentication {
  authenticate: RequestHandler
  /** Stores when keys were used. It has to stop after the last request, and before the database. */
  keyUses: Component
}

/** Builds what decides whose payments a request may see. */
export function createAuthentication({ auth, db, sandbox, logger }: AuthenticationOptions): Authentication {
  if (auth.kind === 'none') return { authenticate: asDefaultMerchant, keyUses: openDoor(logger) }
  const lookups = { find: (ids: readonly string[]) => findKeys(db, ids), onUnreadable: unreadableKeyLog(logger) }
  const refreshFails = createCondition(logger, {
    message: 'keys cannot be looked up, their requests are answered with 503',
    ended: 'keys can be looked up again',
  })
  const cache = createKeyCache({
    known: createKeyLookups({
      ...lookups,
      idsMax: IDS_MAX,
      waitingMax: KNOWN_MAX,
      addressWaitingMax: KNOWN_MAX,
      overdueMax: 2,
    }),
    unknown: createKeyLookups({ ...lookups, idsMax: IDS_MAX, addressIdsMax: IDS_MAX / 4 }),
    onRefreshed(error) {
      if (error === undefined) refreshFails.ended()
      else if (!(error instanceof Problem)) refreshFails.holds({ error }) // An unreadable key has a line of its own.
    },
  })
  const keyUses = createKeyUses({ store: (uses) => touchKeys(db, uses), logger })
  const { peppers } = auth
  return {
    authenticate: authenticate({ sandbox, peppers, cache, wrongKeys: createWrongKeys(), uses: keyUses, logger }),
    keyUses,
  }
}

const UNREADABLE_EVERY_MS = 60_000
const UNREADABLE_NAMED_MAX = 10

/** Logs which keys PostgreSQL cannot read, once a minute: a client may send such a key at any rate. */
function unreadableKeyLog(logger: Logger) {
  const ids = new Set<string>()
  let loggedAt = Number.NEGATIVE_INFINITY
  return (id: string, error: unknown): void => {
    if (ids.size < UNREADABLE_NAMED_MAX) ids.add(id)
    if (performance.now() - loggedAt < UNREADABLE_EVERY_MS) return
    loggedAt = performance.now()
    logger.error('keys cannot be read, their requests are answered with 503', { key_ids: [...ids], error })
    ids.clear()
  }
}

/** Lets every request act for the default merchant. It reads no credentials. */
export const asDefaultMerchant: RequestHandler = (_req, res, next) => {
  res.locals.merchantId = DEFAULT_MERCHANT_ID
  res.locals.scopes = KEY_SCOPES
  res.locals.assertKey = async () => {}
  next()
}

function openDoor(logger: Logger): Component {
  return {
    name: 'key uses',
    async start() {
      logger.warn('AUTH=none: requests need no key, and everyone who reaches this port may create and read payments')
    },
    async stop() {},
  }
}
