import { type Servers, startServers } from './start-servers.ts'

/**
 * Mocha's `--require`: a package's tests find the run's servers, or, when they are run alone, start their own.
 */
let own: Servers | undefined

export async function mochaGlobalSetup(): Promise<void> {
  if (process.env.CASHFLOW_TEST_SERVERS) return
  own = await startServers()
  process.env.CASHFLOW_TEST_SERVERS = JSON.stringify(own.addresses)
}

export async function mochaGlobalTeardown(): Promise<void> {
  await own?.stop()
}
