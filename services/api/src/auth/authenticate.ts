import { hash, randomUUID, timingSafeEqual } from 'node:crypto'
import { hashKey, type KeyScope, type Pepper, readKey, type StoredKey } from '@cashflow/db'
import type { Logger } from '@cashflow/runtime'
import type { RequestHandler, Response } from 'express'
import { ClientGoneError } from '../request-queue.ts'
import { bearerToken } from './bearer-token.ts'
import { isInForce, type KeyCache } from './key-cache.ts'
import type { FoundKey } from './key-lookups.ts'
import type { KeyUses } from './key-uses.ts'
import { forbiddenProblem, tooManyWrongKeysProblem, unauthenticatedProblem } from './refusals.ts'
import type { WrongKeys } from './wrong-keys.ts'

const UNKNOWN_PEPPER_EVERY_MS = 60_000

export interface AuthenticateOptions {
  /** True if the deployment's keys begin with `cf_test_`. */
  sandbox: boolean
  peppers: readonly [Pepper, ...Pepper[]]
  cache: KeyCache
  wrongKeys: WrongKeys
  uses: Pick<KeyUses, 'note'>
  logger: Logger
  now?: () => number
}

/**
 * Accepts a request with the key of a merchant, which then sees that merchant's payments only. It answers all others before
 * their body is read. A request with a key that is in memory waits for nothing.
 */
export function authenticate(options: AuthenticateOptions): RequestHandler {
  const { sandbox, peppers, cache, wrongKeys, uses, now = () => performance.now() } = options
  const matches = keyMatcher(peppers, unknownPepperLog(options.logger, now))

  const isCurrent = ({ key, askedAt }: FoundKey) => key !== undefined && isInForce(key, now() - askedAt)

  function admit(res: Response, text: string, found: FoundKey): void {
    const { key } = found
    if (!matches(text, found) || !key || !isCurrent(found))
      throw wrongKeys.isTooMany(res.locals.client)
        ? tooManyWrongKeysProblem()
        : unauthenticatedProblem({ hasToken: true })
    res.locals.merchantId = key.merchantId
    res.locals.keyId = key.id
    res.locals.scopes = key.scopes
    uses.note(key.id)
  }

  return async (req, res, next) => {
    const token = bearerToken(req)
    const key = token === undefined ? undefined : readKey(token, { sandbox })
    if (!key) throw unauthenticatedProblem({ hasToken: token !== undefined })
    const { id, text } = key
    const found = cache.recall(id) ?? (await cache.lookUp(id, res.locals.client))
    // A body that broke off during the wait would never end for its reader.
    if (res.closed || req.destroyed) throw new ClientGoneError()
    admit(res, text, found)
    res.locals.assertKey = async () => {
      const latest = cache.recall(id)
      if (latest !== found || !isCurrent(found)) admit(res, text, latest ?? (await cache.lookUp(id, res.locals.client)))
    }
    next()
  }
}

/** Allows a request only if its key has a scope. */
export function requireScope(scope: KeyScope): RequestHandler {
  return (_req, res, next) => {
    if (!res.locals.scopes.includes(scope)) throw forbiddenProblem(scope)
    next()
  }
}

/**
 * Compares keys with what is stored of them. An id that no key has takes the same time as one with a wrong secret.
 *
 * The HMAC costs 13 µs in a busy process. So a key that has matched is recognised by a salted SHA-256 for less than 1 µs, for as long as
 * its look-up is used. Neither the key nor a hash that another process could use is kept.
 */
function keyMatcher(peppers: AuthenticateOptions['peppers'], onUnknownPepper: (key: StoredKey) => void) {
  const byId = new Map(peppers.map((pepper) => [pepper.id, pepper]))
  const [first] = peppers
  const absent = Buffer.alloc(hashKey('', first).length)
  const salt = randomUUID()
  // One for all requests: a new buffer for each costs more than the hash.
  const digest = Buffer.alloc(hash('sha256', salt, 'buffer').length)
  const matched = new WeakMap<FoundKey, Buffer>()

  return (text: string, found: FoundKey): boolean => {
    digest.write(hash('sha256', salt + text, 'binary'), 'binary')
    const before = matched.get(found)
    if (before && timingSafeEqual(digest, before)) return true
    const { key } = found
    const pepper = key && byId.get(key.pepperId)
    if (key && !pepper) onUnknownPepper(key)
    const isEqual = timingSafeEqual(hashKey(text, pepper ?? first), key && pepper ? key.hash : absent)
    if (!isEqual || !pepper) return false
    matched.set(found, Buffer.from(digest))
    return true
  }
}

/** Logs a key whose pepper is unknown, once a minute: a client may send such a key at any rate. */
function unknownPepperLog(logger: Logger, now: () => number) {
  let loggedAt = Number.NEGATIVE_INFINITY
  /** Requests that were refused since the last line. */
  let refused = 0
  return ({ id, pepperId }: StoredKey): void => {
    refused += 1
    if (now() - loggedAt < UNKNOWN_PEPPER_EVERY_MS) return
    loggedAt = now()
    logger.error('a key is refused: its pepper is not in KEY_PEPPER', { key_id: id, pepper_id: pepperId, refused })
    refused = 0
  }
}
