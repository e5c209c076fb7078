/** The addresses of a test run's servers. */
export interface Addresses {
  /** PostgreSQL's URL, as a superuser. */
  postgresUrl: string
  /** The name of the migrated database from which every test database is copied. */
  template: string
  /** The URL of RabbitMQ's default vhost, as an administrator. */
  amqpUrl: string
  managementUrl: string
}

/** @throws Error when the test was not run by mocha with `@cashflow/testing/servers` */
export function addresses(): Addresses {
  const shared = process.env.CASHFLOW_TEST_SERVERS
  if (!shared) throw new Error("No test servers: the package's .mocharc.json must require @cashflow/testing/servers")
  return JSON.parse(shared) as Addresses
}

/** Returns the URL of another database of the same server, or of another vhost of the same broker. */
export function withDatabase(serverUrl: string, database: string): string {
  const url = new URL(serverUrl)
  url.pathname = `/${database}`
  return url.href
}
