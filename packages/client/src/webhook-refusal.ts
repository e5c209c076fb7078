/**
 * - `missing-header`: one of `webhook-id`, `webhook-timestamp` and `webhook-signature` is missing or empty
 * - `forged`: no signature is one of your secrets. The body, the id or the timestamp may have been changed
 * - `bad-timestamp`: the timestamp is signed, and is not in whole seconds
 * - `stale`: the attempt is older than the tolerance, or is from the future
 * - `bad-body`: the body is signed, and is no event
 * - `too-large`: only of the middleware, for a body beyond `bodyBytesMax`
 */
export type WebhookRefusal = 'missing-header' | 'forged' | 'bad-timestamp' | 'stale' | 'bad-body' | 'too-large'

/** A request that is not to be handled. It says nothing of secrets or signatures. */
export class WebhookVerificationError extends Error {
  override name = 'WebhookVerificationError'
  readonly code: WebhookRefusal

  constructor(code: WebhookRefusal, message: string, cause?: unknown) {
    super(message, { cause })
    this.code = code
  }
}
