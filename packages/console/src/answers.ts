/**
 * What the console's server answers, as JSON. Times are ISO 8601 in UTC. Amounts are decimal text, such as `100.50`: no
 * number of JSON holds every amount. An answer other than 2xx is `{ "error": text }`, for the operator to read.
 */
export * from './answers/access.ts'
export * from './answers/audit.ts'
export * from './answers/charts.ts'
export * from './answers/dead-letters.ts'
export * from './answers/merchants.ts'
export * from './answers/overview.ts'
export * from './answers/payments.ts'
export * from './answers/sandbox.ts'
export * from './answers/webhooks.ts'
