import type { Request, Response } from 'express'
import type { Grant } from './grant.ts'
import { openGrant, sealGrant } from './grant.ts'
import { hostOf } from './hosts.ts'
import type { Keys } from './keys.ts'
import type { IsHttps } from './origin.ts'

const OF_BROWSER = { path: '/', secure: true, httpOnly: true, sameSite: 'strict' } as const

export type Cookie = ReturnType<typeof createCookie>

/**
 * The cookie of a login. Browsers send a cookie to every port of its host, so its name ends in the port: two consoles on one
 * machine do not end each other's logins. The prefix keeps other hosts of the same domain from setting it.
 */
export function createCookie(isHttps: IsHttps) {
  const nameOf = (req: Request) => `__Host-cashflow_${hostOf(req)?.port ?? (isHttps(req) ? '443' : '80')}`
  return {
    /** @returns undefined without a login */
    read(req: Request, keys: Keys, now: number): Grant | undefined {
      const begin = `${nameOf(req)}=`
      const pair = req.headers.cookie
        ?.split(';')
        .map((text) => text.trim())
        .find((text) => text.startsWith(begin))
      return pair === undefined ? undefined : openGrant(pair.slice(begin.length), keys, now)
    },
    set(req: Request, res: Response, grant: Grant, keys: Keys, now: number): void {
      const maxAge = grant.expiresAt.getTime() - now
      res.cookie(nameOf(req), sealGrant(grant, keys), { ...OF_BROWSER, maxAge })
    },
    clear: (req: Request, res: Response): void => void res.clearCookie(nameOf(req), OF_BROWSER),
  }
}
