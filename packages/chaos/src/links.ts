import { startTcpProxy } from '@cashflow/testing'
import type { ServiceRole } from './service.ts'

export type Links = Awaited<ReturnType<typeof startLinks>>

/** Starts the proxies. Each role has its own, so that a fault can hit the links of one role only. */
export async function startLinks(databaseUrl: string, brokerUrls: readonly string[]) {
  const [database, broker] = await Promise.all([
    startLinkSet(['api', 'relay', 'worker', 'webhooks'], [databaseUrl]),
    startLinkSet(['relay', 'worker'], brokerUrls),
  ])
  return {
    database,
    broker,
    async stop() {
      await Promise.all([...database.all, ...broker.all].map((link) => link.stop()))
    },
  }
}

/** Starts the proxies between the services and one kind of server. */
async function startLinkSet(roles: readonly ServiceRole[], serverUrls: readonly string[]) {
  const byRole = await Promise.all(roles.map(() => Promise.all(serverUrls.map((url) => startTcpProxy(url)))))
  const of = (role: ServiceRole) => byRole[roles.indexOf(role)] ?? []
  return {
    roles,
    /** Returns the proxies of one role. Empty for a role that does not use these servers. */
    of,
    all: byRole.flat(),
    /** Returns the servers' addresses for services of this role, as a list of URLs. */
    urls: (role: ServiceRole) =>
      of(role)
        .map(({ url }) => url)
        .join(','),
  }
}
