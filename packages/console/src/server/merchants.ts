import { KEY_ID, KEY_SCOPES, type Pepper, type Tables } from '@cashflow/db'
import {
  createKey,
  createMerchant,
  findMerchant,
  type KeyFacts,
  listKeys,
  type Merchant,
  revokeKey,
  rotateKey,
  searchMerchants,
} from '@cashflow/db/operator'
import { readReference } from '@cashflow/domain'
import { type Request, Router } from 'express'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import type { KeyAnswer, KeysAnswer, MerchantAnswer, MerchantsAnswer, NewKeyAnswer } from '../answers.ts'
import { Refusal } from './refusal.ts'
import { operatorOf, orConflict, parsed, text, timeOf, uuidParameter } from './request.ts'

const PAGE = 100
const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

/** What makes a reference readable makes a name readable. */
const name = z.string().refine((value) => readReference(value).ok, 'has 1 to 255 characters, and no control characters')
const query = z.object({ name: text(255).optional(), after: z.uuid().optional() })
const newMerchant = z.strictObject({ name })
const newKey = z.strictObject({
  name,
  scopes: z.array(z.enum(KEY_SCOPES)).min(1, 'is empty'),
  expires_in_days: z.number().min(1).max(3_650).optional(),
})
const rotation = z.strictObject({
  overlap_hours: z
    .number()
    .min(0)
    .max(90 * 24),
})

export interface MerchantOptions {
  db: Kysely<Tables>
  sandbox: boolean
  /** Undefined where keys cannot be made. */
  peppers: readonly [Pepper, ...Pepper[]] | undefined
}

/** Merchants and their keys. The secret of a key is in the answer that it is made with, and nowhere else. */
export function merchantRoutes(options: MerchantOptions): Router {
  const { db, sandbox, peppers } = options
  const router = Router()
  router.get('/merchants', async (req, res) => {
    const { name: begin, after } = parsed(query, req.query)
    const found = await searchMerchants(db, { begin, after, limit: PAGE + 1 })
    const shown = found.slice(0, PAGE)
    const next = found.length > PAGE ? (shown.at(-1)?.id ?? null) : null
    res.json({
      merchants: shown.map(toMerchantAnswer),
      next,
      can_make_keys: peppers !== undefined,
    } satisfies MerchantsAnswer)
  })
  router.get('/merchants/:id/keys', async (req, res) => {
    const merchant = await findMerchant(db, uuidParameter(req, 'merchant'))
    if (!merchant) throw new Refusal(404, 'No merchant has this id.')
    const listed = await listKeys(db, { merchantId: merchant.id })
    orConflict(listed)
    res.json({
      merchant: toMerchantAnswer(merchant),
      keys: listed.keys.map(toKeyAnswer),
      can_make_keys: peppers !== undefined,
    } satisfies KeysAnswer)
  })
  router.post('/merchants', async (req, res) => {
    const made = await createMerchant(db, { name: parsed(newMerchant, req.body).name, by: operatorOf(res) })
    orConflict(made)
    res.json(toMerchantAnswer(made.merchant))
  })
  router.post('/merchants/:id/keys', async (req, res) => {
    const { expires_in_days: days, ...body } = parsed(newKey, req.body)
    const made = await createKey(db, {
      ...{ ...body, merchantId: uuidParameter(req, 'merchant'), sandbox },
      ...{ expires: days === undefined ? undefined : { afterMs: days * DAY_MS } },
      ...{ pepper: pepperOf(peppers), by: operatorOf(res) },
    })
    orConflict(made)
    res.json({ key: toKeyAnswer(made.key), secret: made.secret } satisfies NewKeyAnswer)
  })
  router.post('/keys/:id/rotate', async (req, res) => {
    const { overlap_hours: hours } = parsed(rotation, req.body)
    const made = await rotateKey(db, {
      ...{ id: keyIdOf(req), overlapMs: hours * HOUR_MS, sandbox },
      ...{ pepper: pepperOf(peppers), by: operatorOf(res) },
    })
    orConflict(made)
    res.json({ key: toKeyAnswer(made.key), secret: made.secret } satisfies NewKeyAnswer)
  })
  router.post('/keys/:id/revoke', async (req, res) => {
    orConflict(await revokeKey(db, { id: keyIdOf(req), by: operatorOf(res) }))
    res.json({})
  })
  return router
}

function pepperOf(peppers: MerchantOptions['peppers']): Pepper {
  if (peppers) return peppers[0]
  throw new Refusal(409, 'The api has no KEY_PEPPER. Set one, and restart the api: openssl rand -base64 32')
}

function keyIdOf(req: Request): string {
  const { id = '' } = req.params as { id?: string }
  if (!KEY_ID.test(id)) throw new Refusal(404, 'No key has this id.')
  return id
}

const toMerchantAnswer = ({ id, name: called, createdAt }: Merchant): MerchantAnswer => ({
  id,
  name: called,
  created_at: timeOf(createdAt),
})

const toKeyAnswer = (key: KeyFacts): KeyAnswer => ({
  id: key.id,
  merchant_id: key.merchantId,
  name: key.name,
  status: key.status,
  scopes: key.scopes,
  created_at: timeOf(key.createdAt),
  expires_at: timeOf(key.expiresAt),
  revoked_at: timeOf(key.revokedAt),
  last_used_at: timeOf(key.lastUsedAt),
  replaced_by: key.replacedBy,
})
