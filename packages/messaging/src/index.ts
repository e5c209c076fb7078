export type { OutboundMessage, PublishOutcome } from './batch.ts'
export { connectionComponent, topologyComponent } from './component.ts'
export { type ConnectionOptions, type ConnectionSupervisor, createConnection } from './connection.ts'
export { type Consumer, type ConsumerOptions, createConsumer } from './consumer.ts'
export type { AckDecision, Delivery, DeliveryOptions } from './delivery-session.ts'
export type { Logger } from './logger.ts'
export { type ConfirmPublisher, createPublisher, type PublisherOptions } from './publisher.ts'
export {
  hasExchange,
  lookAtQueue,
  type QueueState,
  type Topology,
  type WorkQueueOptions,
  workQueue,
} from './topology.ts'
