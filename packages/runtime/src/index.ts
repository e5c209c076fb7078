export { randomUUIDv7 as uuidv7 } from 'node:crypto'
export { type AdminOptions, withAdmin } from './admin/with-admin.ts'
export { ageText } from './age-text.ts'
export {
  type BrokerTls,
  brokerEnv,
  brokerTls,
  brokerUrls,
  createBrokerTls,
  exchangeName,
  withBrokerRules,
} from './broker-settings.ts'
export {
  CertificateError,
  type CertificatePaths,
  type Certificates,
  certificateFile,
  certificatesIn,
  createCertificates,
  keyFile,
  pairFault,
  readCertificates,
} from './certificates.ts'
export { createCondition } from './condition.ts'
export type { DatabaseTls } from './database-tls.ts'
export { hostUrls, splitTls } from './database-url.ts'
export {
  areReadable,
  ConfigError,
  type Env,
  integer,
  isProduction,
  loadConfig,
  parseEnv,
  readConfig,
  SECRETS,
} from './env.ts'
export { INSTANCE } from './instance.ts'
export { backgroundComponent, type Component, failureFields, runUntilSignal } from './lifecycle.ts'
export { outliveOutput } from './log-output.ts'
export { createLogger, type LogFields, type Logger } from './logger.ts'
export { providerEnv, providerKind, providerRules } from './provider.ts'
export { redact, redactedErrorMessage } from './redact.ts'
export { isRequestId } from './request-id.ts'
export {
  adminAddress,
  adminEnv,
  databaseEnv,
  databaseUrl,
  isSandbox,
  listenHost,
  loggingEnv,
  plainHttpUrl,
  redriveEnv,
  sandboxEnv,
  share,
  standbyEnv,
  yesOrNo,
} from './settings.ts'
export { type BurnRate, THRESHOLDS } from './thresholds.ts'
export { VERSION } from './version.ts'
export { jsonLine, visible, visibleLines } from './visible.ts'
export { type WaitOptions, waitFor } from './wait-for.ts'
export { PUBLIC_SECRETS_KEY, webhookEnv, webhookRules } from './webhooks.ts'
