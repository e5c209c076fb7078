import type { RequestHandler } from 'express'
import { Problem } from '../problem.ts'
import type { RateLimiter } from './rate-limiter.ts'

/**
 * Answers 429 `quota-exceeded` to requests beyond the limit of their API key, or of their client's address without
 * authentication. Each answer tells the client what is left (draft-ietf-httpapi-ratelimit-headers-11).
 */
export function limitRate(limiter: RateLimiter): RequestHandler {
  const policies = { key: `"key";q=${limiter.limit};w=1`, address: `"address";q=${limiter.limit};w=1` }
  return (_req, res, next) => {
    const { keyId, client } = res.locals
    const policy = keyId === undefined ? 'address' : 'key'
    const left = limiter.take(keyId ?? client)
    res.setHeader('RateLimit-Policy', policies[policy])
    res.setHeader('RateLimit', `"${policy}";r=${Math.max(0, left)};t=${Math.max(1, -left)}`)
    if (left < 0) throw exceeded(policy, limiter.limit, -left)
    next()
  }
}

function exceeded(policy: string, limit: number, retryAfterS: number): Problem {
  const detail = `Over ${limit} requests a second with one ${policy}. Send the same request again, and fewer at once.`
  return new Problem('quota-exceeded', detail, {
    members: { 'violated-policies': [policy] },
    headers: { 'Retry-After': String(retryAfterS) },
  })
}
