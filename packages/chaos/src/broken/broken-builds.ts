import type { BrokenBuild } from './broken-build.ts'

/** What the harness must notice: blunders that nobody sees as long as nothing fails. */

/** An `await` is missing: the delivery is acknowledged while its payment is still being processed. */
export const ACK_BEFORE_COMMIT: BrokenBuild = {
  name: 'ack before commit',
  service: 'worker',
  patches: [
    {
      file: 'services/worker/src/handle-delivery.ts',
      from: 'return await processPayment(message,',
      to: 'return !!processPayment(message,',
    },
  ],
}

/** What is written to the socket counts as confirmed, and leaves the outbox. */
export const DELETE_BEFORE_CONFIRM: BrokenBuild = {
  name: 'delete before confirm',
  service: 'relay',
  patches: [
    {
      file: 'packages/messaging/src/publisher.ts',
      from: 'this.#lastTag = tag\n',
      to: 'this.#lastTag = tag\n      batch.settle(place, CONFIRMED)\n',
    },
  ],
}

/** A worker stores what it learned about a payment that another one has taken over. */
export const SETTLE_WITHOUT_FENCE: BrokenBuild = {
  name: 'settle without the fence',
  service: 'worker',
  patches: [
    {
      file: 'db/src/payments/payment-store.ts',
      from: 'p.id = l.id and l.claim_token = l.token and',
      to: 'p.id = l.id and',
    },
    {
      file: 'db/src/payments/payment-store.ts',
      from: 'if (!before?.is_held) return undefined',
      to: 'if (!before) return undefined',
    },
  ],
}

/** What RabbitMQ has confirmed is taken for done. */
export const NO_RECONCILER: BrokenBuild = {
  name: 'no reconciler',
  service: 'worker',
  patches: [
    {
      file: 'services/worker/src/main.ts',
      from: '  connectionComponent(deadConnection),\n  reconciler,\n',
      to: '  connectionComponent(deadConnection),\n',
    },
  ],
}

/** A consumer that RabbitMQ has forgotten waits for its deliveries. */
export const NO_DELIVERY_WATCH: BrokenBuild = {
  name: 'no delivery watch',
  service: 'worker',
  patches: [
    {
      file: 'packages/messaging/src/consumer.ts',
      from: 'await watch.isForgotten(broker, subscription, stopping.signal)',
      to: '(await aborted(subscription.ended, stopping.signal), false)',
    },
  ],
}

/** RabbitMQ confirms what it could not route, and nobody is told. */
export const PUBLISH_WITHOUT_MANDATORY: BrokenBuild = {
  name: 'publish without mandatory',
  service: 'relay',
  patches: [
    {
      file: 'packages/messaging/src/publisher.ts',
      from: 'mandatory: message.mandatory,',
      to: 'mandatory: false,',
    },
  ],
}
