import { DEFAULT_MERCHANT_ID } from '@cashflow/domain'
import type { RequestHandler } from 'express'

/** Sets whose payments a request may see. Without authentication, all payments belong to the default merchant. */
export const authenticate: RequestHandler = (_req, res, next) => {
  res.locals.merchantId = DEFAULT_MERCHANT_ID
  next()
}
