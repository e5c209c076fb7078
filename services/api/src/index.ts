/**
 * The benchmark `post` builds an API without a database from these parts. `main.ts` with a stub of PostgreSQL would not do:
 * the figures would include the stub. Nothing else imports this package, because a service is a process.
 */
export { createApp } from './app.ts'
export { apiConfig } from './config.ts'
export { httpComponent } from './http-component.ts'
export { READS_MAX, WRITES_MAX } from './limits.ts'
export { createRequestQueue } from './request-queue.ts'
