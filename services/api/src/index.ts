/**
 * The benchmark `post` builds an API without a database from these parts. `main.ts` with a stub of PostgreSQL would not do:
 * the figures would include the stub. Nothing else imports this package, because a service is a process.
 */
export { createApp } from './app.ts'
export { createAuthentication } from './auth/create-authentication.ts'
export { apiConfig } from './config.ts'
export { createCursors } from './cursor.ts'
export { httpComponent } from './http-component.ts'
export { READS_MAX, WRITES_MAX } from './limits.ts'
export type { PaymentWriter } from './payments/create-payment.ts'
export { createWaits } from './payments/waits.ts'
export { createRateLimiter } from './rate-limit/rate-limiter.ts'
export { createRequestQueue } from './request-queue.ts'
