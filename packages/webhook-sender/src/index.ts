export type { AddressPolicy } from './address-policy.ts'
export { checkUrl } from './check-url.ts'
export { CHECK_MS, type CheckKind, checkReceiver } from './grader/check-receiver.ts'
export {
  CHECK_NAMES,
  type CheckedCase,
  type CheckedRequest,
  type CheckName,
  type ReceiverReport,
  reportJson,
} from './grader/report.ts'
export { parseSealingKeys, type SealingKey, SealingKeyError, secretsEnv } from './sealing-keys.ts'
export { createSecretBox, type Sealed, type SecretBox, SecretKeyError } from './secret-box.ts'
export { type Attempt, createSender, type Sender, type SenderOptions } from './sender.ts'
export { isWebhookSecret, newSecret, signatures, webhookHeaders } from './signature.ts'
