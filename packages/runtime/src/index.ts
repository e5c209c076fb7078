export { randomUUIDv7 as uuidv7 } from 'node:crypto'
export { createCondition } from './condition.ts'
export { hostUrls } from './database-url.ts'
export { areReadable, ConfigError, type Env, integer, isProduction, loadConfig, parseEnv } from './env.ts'
export { backgroundComponent, type Component, failureFields, runUntilSignal } from './lifecycle.ts'
export { outliveOutput } from './log-output.ts'
export { createLogger, type LogFields, type Logger } from './logger.ts'
export { redact, redactedErrorMessage } from './redact.ts'
export { isRequestId } from './request-id.ts'
export {
  brokerEnv,
  brokerUrls,
  databaseEnv,
  databaseUrl,
  exchangeName,
  isSandbox,
  listenHost,
  loggingEnv,
  redriveEnv,
  sandboxEnv,
} from './settings.ts'
export { waitFor } from './wait-for.ts'
