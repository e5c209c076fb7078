import { startTcpProxy, type TcpProxy } from '@cashflow/testing'
import type { Role } from './service.ts'

/** The proxies between the services and one kind of server. */
export interface LinkSet {
  readonly all: readonly TcpProxy[]
  readonly roles: readonly Role[]
  /** The proxies of one role. Empty for a role that does not use these servers. */
  of(role: Role): readonly TcpProxy[]
  /** The servers' addresses for services of this role, as a list of URLs. */
  urls(role: Role): string
}

export interface Links {
  readonly database: LinkSet
  readonly broker: LinkSet
  stop(): Promise<void>
}

/** Starts the proxies. Each role has its own, so that a fault can hit the links of one role only. */
export async function startLinks(databaseUrl: string, brokerUrls: readonly string[]): Promise<Links> {
  const [database, broker] = await Promise.all([
    startLinkSet(['api', 'relay', 'worker'], [databaseUrl]),
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

async function startLinkSet(roles: readonly Role[], serverUrls: readonly string[]): Promise<LinkSet> {
  const byRole = await Promise.all(roles.map(() => Promise.all(serverUrls.map((url) => startTcpProxy(url)))))
  const of = (role: Role) => byRole[roles.indexOf(role)] ?? []
  return {
    roles,
    of,
    all: byRole.flat(),
    urls: (role) =>
      of(role)
        .map(({ url }) => url)
        .join(','),
  }
}
