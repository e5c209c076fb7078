/** What the benchmarks build an API of that stores nothing. A service is a process: nobody else imports it. */
export { createApp } from './app.ts'
export { apiConfig } from './config.ts'
export { httpPart } from './http-component.ts'
export { READS_MAX, WRITES_MAX } from './limits.ts'
export { createQueue } from './queue.ts'
