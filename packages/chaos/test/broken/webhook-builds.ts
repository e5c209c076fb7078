import type { BrokenBuild } from './broken-builds.ts'

const webhooks = {
  service: 'webhooks',
  module: new URL('webhook-replacements.ts', import.meta.url).href,
} as const

/** Deliveries do not wait for those of earlier events of their payment. */
export const NO_ORDER: BrokenBuild = {
  ...webhooks,
  name: 'no order',
  file: 'db/src/webhooks/look.ts',
  exported: 'lookForWebhooks',
  replacement: 'withoutOrder',
}

/** The bytes that are signed are not those that are sent. */
export const SIGNATURE_OF_ANOTHER_BODY: BrokenBuild = {
  ...webhooks,
  name: 'signature of another body',
  file: 'packages/webhook-sender/src/signature.ts',
  exported: 'webhookHeaders',
  replacement: 'ofAnotherBody',
}

/** Each attempt writes the JSON again. */
export const BODY_OF_EACH_ATTEMPT: BrokenBuild = {
  ...webhooks,
  name: 'body of each attempt',
  file: 'db/src/webhooks/claim.ts',
  exported: 'claimDeliveries',
  replacement: 'writtenAgain',
}

/** The body does not say which event was before. */
export const NO_PREVIOUS_EVENT: BrokenBuild = {
  ...webhooks,
  name: 'no previous event',
  file: 'services/webhooks/src/body.ts',
  exported: 'bodyOf',
  replacement: 'withoutPrevious',
}

/** The cursor is stored in a transaction of its own, before the deliveries. */
export const CURSOR_FIRST: BrokenBuild = {
  ...webhooks,
  name: 'cursor before deliveries',
  file: 'db/src/webhooks/fan-out.ts',
  exported: 'fanOut',
  replacement: 'withCursorFirst',
}

/** Some deliveries get the URL of another delivery of their claim. */
export const URL_OF_ANOTHER: BrokenBuild = {
  ...webhooks,
  name: 'URL of another endpoint',
  file: 'db/src/webhooks/claim.ts',
  exported: 'claimDeliveries',
  replacement: 'withNextUrl',
}

/** An `await` is missing: a delivery has succeeded when its request begins. */
export const SETTLED_BEFORE_SENT: BrokenBuild = {
  ...webhooks,
  name: 'settled before sent',
  file: 'packages/webhook-sender/src/sender.ts',
  exported: 'createSender',
  replacement: 'answeringAtOnce',
}

/** What a payment of the sandbox asks for is not done. */
export const NO_SIMULATION: BrokenBuild = {
  ...webhooks,
  name: 'no simulated faults',
  file: 'db/src/webhooks/fan-out.ts',
  exported: 'fanOut',
  replacement: 'asInLive',
}
