import { findPayment, type PaymentName, type PaymentView, type Tables } from '@cashflow/db'
import { isUuid } from '@cashflow/domain'
import type { Request, RequestHandler, Response } from 'express'
import type { Kysely } from 'kysely'
import { Problem } from '../problem.ts'
import type { RequestQueue } from '../request-queue.ts'
import { readWait } from './prefer.ts'
import { sendPayment, setWaitApplied } from './send-payment.ts'
import type { Waits } from './waits.ts'

export interface GetPaymentOptions {
  db: Kysely<Tables>
  reads: RequestQueue
  waits: Waits
}

/**
 * GET /payments/:id: 200 with the payment, 304 if the client has it already, or 404. With `Prefer: wait=N` the answer waits
 * until the payment is settled, or for N seconds.
 */
export function getPaymentHandler({ db, reads, waits }: GetPaymentOptions): RequestHandler<{ id: string }> {
  async function find(req: Request, res: Response, name: PaymentName): Promise<PaymentView | undefined> {
    const seconds = readWait(req)
    const waited = seconds === undefined ? undefined : await waits.until(res, name, { seconds })
    // A preference never makes a request fail (RFC 7240 §2): one that may not wait is answered like one without.
    if (seconds === undefined || !waited) return await reads.run(res, () => findPayment(db, name))
    const { payment, isHonoured } = waited
    await res.locals.assertKey()
    if (payment && isHonoured) setWaitApplied(res, seconds)
    return payment
  }

  return async (req, res) => {
    const { id } = req.params
    const { merchantId } = res.locals
    const payment = isUuid(id) ? await find(req, res, { merchantId, id }) : undefined
    if (!payment) throw unknownPayment()
    sendPayment(req, res, 200, payment)
  }
}

export function unknownPayment(): Problem {
  return new Problem('not-found', 'No payment has this id.')
}
