export { freePorts } from './ports.ts'
export { type PostgresOptions, type PostgresServer, startPostgres } from './servers/postgres.ts'
export { type RabbitmqOptions, type RabbitmqServer, startRabbitmq } from './servers/rabbitmq.ts'
