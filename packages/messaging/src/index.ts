export type { BrokerEncryption } from './amqplib-internals.ts'
export type { TlsOptions } from './broker-connection.ts'
export {
  type ConnectionOptions,
  type ConnectionSupervisor,
  connectionComponent,
  createConnection,
} from './connection-supervisor.ts'
export { type Consumer, type ConsumerOptions, createConsumer } from './consumer.ts'
export type { AckDecision, Delivery } from './delivery.ts'
export { registerConnections } from './metrics.ts'
export type { OutboundMessage, PublishOutcome } from './outbound-message.ts'
export { type ConfirmPublisher, createPublisher } from './publisher.ts'
export type { Topology, WorkQueueOptions } from './topology.ts'
export { compareTopology, hasExchange, lookAtQueue, topologyComponent, workQueue } from './topology.ts'
