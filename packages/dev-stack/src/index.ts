export { type PostgresOptions, type PostgresServer, startPostgres } from './servers/postgres.ts'
