import { findPayments, type Tables } from '@cashflow/db'
import {
  findById,
  findByIdempotencyKey,
  findByReference,
  merchantNames,
  redrivePayment,
  searchPayments,
  settleByHand,
} from '@cashflow/db/operator'
import { CANCELED, isUuid, type Outcome } from '@cashflow/domain'
import { Router } from 'express'
import type { Kysely } from 'kysely'
import * as z from 'zod'
import { type PaymentsAnswer, type SettleBody, STATUSES, WAITING_FOR } from '../answers.ts'
import { toPaymentAnswer, toPrunedAnswer } from './payment-answer.ts'
import { readPaymentPage } from './payment-page.ts'
import { Refusal } from './refusal.ts'
import { operatorOf, orConflict, parsed, reason, text, unreadableNotes, uuidParameter } from './request.ts'

const PAGE = 50
const REFERENCE_MAX = 255
const PENDING_ORDER = 'PENDING payments come in the order of their next redrive, parked ones last.'

const query = z.object({
  status: z.enum(STATUSES).optional(),
  waiting_for: z.enum(WAITING_FOR).optional(),
  merchant: z.uuid().optional(),
  after: z.uuid().optional(),
  q: text(REFERENCE_MAX).optional(),
})

type Query = z.output<typeof query>

const settleBody = z.strictObject({
  outcome: z.enum(['success', 'failed']),
  failure_code: z
    .string()
    .regex(/^[a-z0-9_]{1,64}$/, 'has 1 to 64 characters of a-z, 0-9 and _')
    .refine((code) => code !== CANCELED, 'is only for a payment that its client canceled')
    .optional(),
  reason,
})

const redriveBody = z.strictObject({ reason })

/** Lists and searches payments of all merchants, shows one, and settles or redrives it by hand. */
export function paymentRoutes(db: Kysely<Tables>): Router {
  const router = Router()
  router.get('/payments', async (req, res) => {
    const asked = parsed(query, req.query)
    res.json(await (asked.q === undefined ? listPayments(db, asked) : findNamed(db, asked.q, asked.merchant)))
  })
  router.get('/payments/:id', async (req, res) => {
    const page = await readPaymentPage(db, uuidParameter(req, 'payment'))
    if (!page) throw new Refusal(404, 'No payment has this id.')
    res.json(page)
  })
  router.post('/payments/:id/settle', async (req, res) => {
    const body = parsed(settleBody, req.body)
    const paymentId = uuidParameter(req, 'payment')
    const by = operatorOf(res)
    orConflict(await settleByHand(db, { paymentId, outcome: outcomeOf(body), reason: body.reason, by }))
    res.json({})
  })
  router.post('/payments/:id/redrive', async (req, res) => {
    const { reason: why } = parsed(redriveBody, req.body)
    orConflict(await redrivePayment(db, uuidParameter(req, 'payment'), { by: operatorOf(res), reason: why }))
    res.json({})
  })
  return router
}

function outcomeOf({ outcome, failure_code = 'settled_by_operator' }: Omit<SettleBody, 'reason'>): Outcome {
  return outcome === 'success' ? { outcome: 'approved' } : { outcome: 'declined', failureCode: failure_code }
}

/** A page of payments of all merchants: of any status the newest first, PENDING ones in the order of their redrives. */
export async function listPayments(db: Kysely<Tables>, asked: Omit<Query, 'q'> = {}): Promise<PaymentsAnswer> {
  const { status, waiting_for: waitingFor, merchant: merchantId, after } = asked
  if (waitingFor !== undefined && status !== undefined && status !== 'PENDING')
    return { payments: [], next: null, notes: ['Only PENDING payments wait for something.'] }
  const isOfPending = waitingFor !== undefined || status === 'PENDING'
  const page = await searchPayments(db, { status, waitingFor, merchantId, after, limit: PAGE })
  orConflict(page)
  const names = await merchantNames(db, [...new Set(page.payments.map(({ merchantId: id }) => id))])
  return {
    payments: page.payments.map((payment) => toPaymentAnswer(payment, names.get(payment.merchantId) ?? null)),
    next: page.next ?? null,
    notes: [
      ...(isOfPending && page.payments.length > 1 ? [PENDING_ORDER] : []),
      ...lookedNotes(page.lookedAt),
      ...unreadableNotes(page.leftOut),
    ],
  }
}

function lookedNotes(lookedAt: number | undefined): string[] {
  if (lookedAt === undefined) return []
  return [`Only ${lookedAt.toLocaleString('en')} payments were looked at. The next page goes on behind them.`]
}

/** The payments that a text names: by id, by reference, or by idempotency key. */
async function findNamed(db: Kysely<Tables>, name: string, merchantId: string | undefined): Promise<PaymentsAnswer> {
  const byId = isUuid(name) ? await findById(db, name.toLowerCase()) : undefined
  const isWanted = byId && (merchantId === undefined || byId.merchantId === merchantId)
  const named = isWanted ? [byId] : await findByName(db, name, merchantId)
  if ('why' in named) return { payments: [], next: null, notes: [named.why] }
  const stored = named.filter(({ status }) => status !== null)
  const views = new Map((await findPayments(db, stored)).flatMap((view) => (view ? [[view.id, view]] : [])))
  return {
    payments: named.map((payment) => {
      const view = views.get(payment.id)
      return view ? toPaymentAnswer(view, payment.merchant) : toPrunedAnswer(payment)
    }),
    next: null,
    notes: [],
  }
}

/** The payments that have the name as reference or as idempotency key, or why it is not looked up. */
async function findByName(db: Kysely<Tables>, name: string, merchantId: string | undefined) {
  const byReference = await findByReference(db, { reference: name, merchantId, limit: PAGE })
  if (!byReference.done) return byReference
  const byKey = await findByIdempotencyKey(db, { idempotencyKey: name, merchantId, limit: PAGE })
  if (!byKey.done) return byKey
  const others = byKey.payments.filter(({ id }) => !byReference.payments.some((payment) => payment.id === id))
  return [...byReference.payments, ...others].slice(0, PAGE)
}
