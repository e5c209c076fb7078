import { startTcpProxy, type TcpProxy } from '@cashflow/testing'
import type { Role } from './service.ts'

/** The proxies between services and one kind of server. */
export interface LinkSet {
  readonly all: readonly TcpProxy[]
  readonly byRole: readonly (readonly TcpProxy[])[]
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
  return {
    byRole,
    all: byRole.flat(),
    urls: (role) => (byRole[roles.indexOf(role)] ?? []).map(({ url }) => url).join(','),
  }
}
