import { startPrivatePostgres } from '@cashflow/testing'
import { type ApiUnderTest, type StartOptions, startApi } from '../start-api.ts'

/** Starts an API on a PostgreSQL of its own: the event feed waits for every transaction of the server, also of other tests. */
export async function startApiOnOwnServer(options: StartOptions = {}): Promise<ApiUnderTest & { databaseUrl: string }> {
  const server = await startPrivatePostgres({ max_prepared_transactions: '1' })
  const given = { name: 'payments', url: server.url, drop: () => server.stop() }
  return { ...(await startApi({ ...options, given })), databaseUrl: server.url }
}
