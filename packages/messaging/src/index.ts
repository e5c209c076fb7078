export {
  type ConnectionOptions,
  type ConnectionSupervisor,
  connectionComponent,
  createConnection,
} from './connection-supervisor.ts'
export { type Consumer, type ConsumerOptions, createConsumer } from './consumer.ts'
export type { AckDecision, Delivery, DeliveryOptions } from './delivery.ts'
export type { Logger } from './logger.ts'
export type { OutboundMessage, PublishOutcome } from './outbound-message.ts'
export { type ConfirmPublisher, createPublisher, type PublisherOptions } from './publisher.ts'
export {
  hasExchange,
  lookAtQueue,
  type QueueState,
  type Topology,
  topologyComponent,
  type WorkQueueOptions,
  workQueue,
} from './topology.ts'
