export { openClient, openPool, query } from '@cashflow/dev-stack'
export { withDatabase } from './addresses.ts'
export * as amqp from './amqp/bytes.ts'
export { HOSTILE_PROPERTIES } from './amqp/hostile-properties.ts'
export { publishRaw } from './amqp/publish-raw.ts'
export { eventually } from './eventually.ts'
export { type Management, management } from './management.ts'
export { createMigrated } from './migrated.ts'
export { type Pipeline, postTo, type Role, startPipeline } from './pipeline.ts'
export { type PrivatePostgres, startPrivatePostgres } from './private-postgres.ts'
export { readmeSettings } from './readme-settings.ts'
export {
  type ReplicatedPostgres,
  type ReplicatedPostgresOptions,
  startReplicatedPostgres,
} from './replicated-postgres.ts'
export { REPOSITORY } from './repository.ts'
export { answer, type Script, type ScriptedServer, type SeenRequest, startScriptedServer } from './scripted-server.ts'
export { type LogLine, type ServiceProcess, startService } from './service-process.ts'
export { startTcpProxy, type TcpProxy } from './tcp-proxy/tcp-proxy.ts'
export { createTestDatabase, type TestDatabase } from './test-database.ts'
export { createTestVhost, type TestVhost } from './test-vhost.ts'
export { createUnreadableRows, type UnreadableRows } from './unreadable-rows.ts'
