import { startTcpProxy, type TcpProxy } from '@cashflow/testing'
import type { Role } from './service.ts'

/** The proxies between services and one kind of server. */
export interface LinkSet {
  readonly all: readonly TcpProxy[]
  readonly roles: readonly Role[]
  /** None for a role that does not speak to these servers. */
  of(role: Role): readonly TcpProxy[]
  /** What a service of this role is given as the servers' addresses. */
  urls(role: Role): string
}

export interface Links {
  readonly database: LinkSet
  readonly broker: LinkSet
  stop(): Promise<void>
}

/** Each role has links of its own, so that one may lose what another has. */
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
    ...{ roles, of, all: byRole.flat() },
    urls: (role) =>
      of(role)
        .map(({ url }) => url)
        .join(','),
  }
}
