/** Where the servers of a test run are. */
export interface Addresses {
  /** PostgreSQL, as a superuser, without a database. */
  postgresUrl: string
  /** The migrated database that every test database is copied from. */
  template: string
  /** RabbitMQ's default vhost, as an administrator. */
  amqpUrl: string
  managementUrl: string
}

/** @throws Error when the test was not run by mocha with `@cashflow/testing/servers` */
export function addresses(): Addresses {
  const shared = process.env.CASHFLOW_TEST_SERVERS
  if (!shared) throw new Error("No test servers: the package's .mocharc.json must require @cashflow/testing/servers")
  return JSON.parse(shared) as Addresses
}

export function withDatabase(postgresUrl: string, database: string): string {
  const url = new URL(postgresUrl)
  url.pathname = `/${database}`
  return url.href
}
