/**
 * The parts of an API for the benchmark `post`, which builds one without a database. In its own process, a stub of
 * PostgreSQL's protocol would be measured too. Nothing else imports this package: a service is a process.
 */
export { createApp } from './app.ts'
export { apiConfig } from './config.ts'
export { httpComponent } from './http-component.ts'
export { READS_MAX, WRITES_MAX } from './limits.ts'
export { createRequestQueue } from './request-queue.ts'
