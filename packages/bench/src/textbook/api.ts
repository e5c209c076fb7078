import { randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import express from 'express'
import * as z from 'zod'
import { createDatabase } from './database.ts'
import { createLogger, loadSettings } from './settings.ts'

const UNIQUE_VIOLATION = '23505'

const paymentBody = z.object({
  amount: z.number().positive().multipleOf(0.01),
  currency: z.enum(['USD', 'ETB']),
  reference: z.string().min(1).max(255),
})

type PaymentBody = z.output<typeof paymentBody>

const settings = loadSettings()
const logger = createLogger('api')
const db = createDatabase(settings.DATABASE_URL, settings.TEXTBOOK_POOL)
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
    res.status(201).json(await createPayment(body.data))
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

const server = app.listen(settings.PORT, '127.0.0.1', () => {
  logger.info('listening', { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  logger.info('ready')
})

process.once('SIGTERM', () => {
  server.close(async () => {
    await db.destroy()
    process.exit(0)
  })
  server.closeIdleConnections()
})

// One transaction for each request. It returns the values that it has inserted, because RETURNING would cost more.
async function createPayment({ amount, currency, reference }: PaymentBody) {
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
