import { randomUUID } from 'node:crypto'
import express, { type Express } from 'express'
import type { Kysely } from 'kysely'
import type { Logger } from 'winston'
import * as z from 'zod'
import type { Tables } from './database.ts'

const UNIQUE_VIOLATION = '23505'

const paymentBody = z.object({
  amount: z.number().positive().multipleOf(0.01),
  currency: z.enum(['USD', 'ETB']),
  reference: z.string().min(1).max(255),
})

type PaymentBody = z.output<typeof paymentBody>

/** Creates the app. Each request has one transaction, which stores the payment and its message. */
export function createApp(db: Kysely<Tables>, logger: Logger): Express {
  const app = express()
  app.disable('etag').disable('x-powered-by')
  app.use((req, res, next) => {
    const startedAt = performance.now()
    res.on('finish', () =>
      logger.info('request', {
        method: req.method,
        path: req.path,
        status: res.statusCode,
        duration_ms: Math.round(performance.now() - startedAt),
      }),
    )
    next()
  })
  app.use(express.json())

  app.post('/payments', async (req, res) => {
    const body = paymentBody.safeParse(req.body)
    if (!body.success) {
      res.status(400).json({ errors: body.error.issues })
      return
    }
    try {
      res.status(201).json(await createPayment(db, body.data))
    } catch (error) {
      if ((error as { code?: string }).code !== UNIQUE_VIOLATION) throw error
      res.status(409).json({ error: 'a payment with this reference exists' })
    }
  })

  app.get('/payments/:id', async (req, res) => {
    const payment = await db.selectFrom('payments').selectAll().where('id', '=', req.params.id).executeTakeFirst()
    if (payment) res.json(payment)
    else res.status(404).json({ error: 'no payment has this id' })
  })
  return app
}

/** Returns the values that it has inserted. RETURNING would cost more. */
async function createPayment(db: Kysely<Tables>, { amount, currency, reference }: PaymentBody) {
  const created = { id: randomUUID(), amount: amount.toFixed(2), currency, reference, created_at: new Date() }
  const payment = { ...created, status: 'PENDING' as const }
  await db.transaction().execute(async (tx) => {
    await tx.insertInto('payments').values(payment).execute()
    await tx
      .insertInto('outbox')
      .values({ topic: 'payment.created', payload: { payment_id: payment.id } })
      .execute()
  })
  return payment
}
