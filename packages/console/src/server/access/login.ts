import { hash, randomUUID, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Pepper, Tables } from '@cashflow/db'
import { operatorName, useLoginToken } from '@cashflow/db/operator'
import type { Logger } from '@cashflow/runtime'
import express, { type RequestHandler, type Router } from 'express'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import { refuse } from '../refusal.ts'
import { createCookie } from './cookie.ts'
import { type Grant, openGrant } from './grant.ts'
import { type ConsoleKeys, readConsoleKeys } from './keys.ts'
import type { IsHttps } from './origin.ts'
import { createWrongTokens } from './wrong-tokens.ts'

const LOGIN_MS = 43_200_000
const BODY_MAX = '8kb'

const NO_LOGIN = 'Log in first.'
const WRONG = 'The login token is not valid.'
const USED = 'The login token was used before. Each is good for one login.'

export interface LoginOptions {
  db: Kysely<Tables>
  /** `CONSOLE_TOKEN`: good for any number of logins. */
  token: string | undefined
  /** Of `KEY_PEPPER`. */
  peppers: readonly [Pepper, ...Pepper[]] | undefined
  isHttps: IsHttps
  /** What counts as one client for the limit of wrong tokens. */
  clientOf: (req: IncomingMessage) => string
  logger: Logger
}

declare global {
  namespace Express {
    interface Locals {
      /** The operator that has sent a request to the console. */
      operator: Grant
    }
  }
}

const body = z.object({ token: z.string() })

/** Logs operators in and out, and tells who they are. */
export function createLogin(options: LoginOptions): { routes: Router; requireLogin: RequestHandler } {
  const { db, peppers, isHttps, clientOf, logger } = options
  const cookie = createCookie(isHttps)
  const readKeys = remembered(() => readConsoleKeys(db, peppers))
  const wrongTokens = createWrongTokens()
  const isProcessToken = matcher(options.token)

  /** Returns what the token allows, or why it does not let its sender in. */
  async function accept(token: string, { tokens }: ConsoleKeys): Promise<Omit<Grant, 'expiresAt'> | string> {
    if (isProcessToken(token)) return { id: randomUUID(), name: operatorName(), role: 'operate' }
    const grant = openGrant(token, tokens, Date.now())
    if (!grant) return WRONG
    return (await useLoginToken(db, grant)) ? grant : USED
  }

  const routes = express.Router()
  routes.post('/login', express.json({ limit: BODY_MAX }), async (req, res) => {
    const { data } = body.safeParse(req.body)
    if (!data) return refuse(res, 400, 'The body has to be {"token": text}.')
    const keys = await readKeys()
    const accepted = await accept(data.token.trim(), keys)
    const client = clientOf(req)
    if (typeof accepted === 'string') {
      const retryAfterS = wrongTokens.count(client)
      if (retryAfterS === undefined) {
        logger.warn('login to the console refused', { client, reason: accepted })
        return refuse(res, 401, accepted)
      }
      res.set('Retry-After', String(retryAfterS))
      return refuse(res, 429, `Too many wrong login tokens. Wait ${retryAfterS} s.`)
    }
    const now = Date.now()
    const login = { ...accepted, expiresAt: new Date(now + LOGIN_MS) }
    cookie.set(req, res, login, keys.cookies, now)
    logger.info('login to the console', { client, operator: login.name, role: login.role, token: login.id })
    res.json({})
  })
  routes.post('/logout', (req, res) => {
    cookie.clear(req, res)
    res.json({})
  })
  return {
    routes,
    requireLogin: async (req, res, next) => {
      const { cookies } = await readKeys()
      const operator = cookie.read(req, cookies, Date.now())
      if (!operator) return refuse(res, 401, NO_LOGIN)
      res.locals.operator = operator
      next()
    },
  }
}

function matcher(expected: string | undefined): (token: string) => boolean {
  if (expected === undefined) return () => false
  const digest = hash('sha256', expected, 'buffer')
  return (token) => timingSafeEqual(hash('sha256', token, 'buffer'), digest)
}

/** Reads once. After a failure it reads again. */
function remembered<Value>(read: () => Promise<Value>): () => Promise<Value> {
  let reading: Promise<Value> | undefined
  return () => {
    reading ??= read().catch((error: unknown) => {
      reading = undefined
      throw error
    })
    return reading
  }
}
