import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { copyForStandby, killTree, type PostgresServer, query, startPostgres } from '@cashflow/dev-stack'
import { withDatabase } from './addresses.ts'
import { eventually } from './eventually.ts'
import { createMigrated } from './migrated.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy/tcp-proxy.ts'

export interface ReplicatedPostgres {
  /** A migrated database on what is the primary now; while a standby is attached, each of its commits waits for that. */
  readonly url: string
  /** Whether the data of each server lie on a small disk of their own. */
  readonly hasSmallDisk: boolean
  /** From now on the standby gets nothing of what the primary writes. */
  freezeReplication(): void
  /**
   * SIGKILL for each process of the primary, and its data are gone; then the standby is promoted. Resolves when that takes
   * writes, which wait for nobody until `attachStandby()`. Unless replication is frozen, the standby first gets all that
   * there is: after a crash, a primary shows what it had not replicated yet.
   *
   * @param onLost called in between, with the address of the standby, still read-only, and waited for
   */
  failOver(onLost?: (standbyUrl: string) => Promise<void> | void): Promise<void>
  /** Makes a new standby of the primary, which may be under writes. */
  attachStandby(): Promise<void>
  /** Ends every process of the primary at once, flushing nothing: SIGQUIT is `pg_ctl stop -m immediate`. */
  crash(): Promise<void>
  /**
   * Starts the primary again, at its address, if it has ended; it recovers from its log, and the standby finds it by
   * itself. Resolves when it answers.
   */
  start(): Promise<void>
  /** Leaves no room on the primary's disk: it answers 53100, or ends for want of room for its log. Needs a small disk. */
  fillDisk(): Promise<void>
  freeDisk(): Promise<void>
  stop(): Promise<void>
}

export interface ReplicatedPostgresOptions {
  /** Of each server. */
  settings?: Record<string, string>
  /** Asks for a disk of this size for each server's data. Only root on Linux, who may mount a tmpfs, gets one. */
  diskMb?: number
}

type Member = { dir: string; server: PostgresServer }
type Standby = Member & { replication: TcpProxy; isFrozen: boolean }

const STANDBY = 'standby'
const RECOVERY_MS = 60_000

/** A primary with a synchronous standby, for losing the primary, again and again. */
export async function startReplicatedPostgres(options: ReplicatedPostgresOptions = {}): Promise<ReplicatedPostgres> {
  const root = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
  let made = 0
  const nextDir = () => join(root, `server-${++made}`)
  const first = nextDir()
  let primary: Member = { dir: first, server: await startPostgres({ ...options, dir: first }) }
  let standby: Standby | undefined
  await createMigrated(primary.server.url, 'payments')

  function attached(): Standby {
    if (!standby) throw new Error('no standby is attached')
    return standby
  }

  function smallDisk() {
    if (!primary.server.smallDisk) throw new Error('the primary has no small disk')
    return primary.server.smallDisk
  }

  const replicated: ReplicatedPostgres = {
    get url() {
      return withDatabase(primary.server.url, 'payments')
    },
    get hasSmallDisk() {
      return primary.server.smallDisk !== undefined
    },
    freezeReplication() {
      attached().isFrozen = true
      attached().replication.freeze()
    },
    async failOver(onLost) {
      const { dir, server, replication, isFrozen } = attached()
      if (!isFrozen) await caughtUp(primary.server.url)
      await killForGood(primary.server)
      primary = { dir, server }
      standby = undefined
      await onLost?.(withDatabase(server.url, 'payments'))
      await replication.stop()
      await promoted(server.url)
    },
    async attachStandby() {
      if (standby) throw new Error('a standby is attached already')
      standby = await startStandby(primary, nextDir(), options)
      await waitedFor(primary.server.url)
    },
    async crash() {
      process.kill(primary.server.pid, 'SIGQUIT')
      await primary.server.exited
    },
    async start() {
      const { dir, server } = primary
      if (await staysUp(server)) return
      primary = { dir, server: await startPostgres({ ...options, dir, port: server.port }) }
    },
    fillDisk: async () => smallDisk().fill(),
    freeDisk: async () => smallDisk().free(),
    async stop() {
      await standby?.replication.stop()
      await Promise.all([primary.server.stop(), standby?.server.stop()])
      await rm(root, { recursive: true, force: true })
    },
  }
  try {
    await replicated.attachStandby()
  } catch (error) {
    await replicated.stop()
    throw error
  }
  return replicated
}

async function startStandby(
  { dir: from, server }: Member,
  to: string,
  options: ReplicatedPostgresOptions,
): Promise<Standby> {
  const { settings, ...disk } = options
  await copyForStandby({ url: server.url, from, to, slot: STANDBY, ...disk })
  const replication = await startTcpProxy(server.url)
  const own = {
    primary_conninfo: connectionInfo(replication.url),
    primary_slot_name: STANDBY,
    // How long it waits between tries to reach its primary.
    wal_retrieve_retry_interval: '200ms',
  }
  try {
    return {
      dir: to,
      server: await startPostgres({ ...disk, dir: to, settings: { ...settings, ...own } }),
      replication,
      isFrozen: false,
    }
  } catch (error) {
    await replication.stop()
    throw error
  }
}

/** As libpq wants it. */
function connectionInfo(url: string): string {
  const { hostname, port, username, password } = new URL(url)
  return `host=${hostname} port=${port} user=${username} password=${password} application_name=${STANDBY}`
}

/** Resolves when each commit from now on waits for the standby. */
async function waitedFor(primaryUrl: string): Promise<void> {
  await standbyHas(primaryUrl, "state = 'streaming'") // Else commits would wait for as long as it takes to get there.
  await query(primaryUrl, `alter system set synchronous_standby_names = 'ANY 1 (${STANDBY})'`)
  await query(primaryUrl, 'select pg_reload_conf()')
  await standbyHas(primaryUrl, "sync_state = 'quorum'")
  // The checkpointer has sessions wait. It reads its settings before it does what it is asked for.
  await query(primaryUrl, 'checkpoint')
}

/** Resolves when the standby has replayed all that the primary has on disk now, and each commit waits for it. */
async function caughtUp(primaryUrl: string): Promise<void> {
  const [row] = await eventually(() => query(primaryUrl, 'select pg_current_wal_flush_lsn() as flushed'))
  const condition = `state = 'streaming' and sync_state = 'quorum' and replay_lsn >= '${row?.flushed}'`
  await standbyHas(primaryUrl, condition, { timeoutMs: RECOVERY_MS })
}

async function standbyHas(primaryUrl: string, condition: string, patience = {}): Promise<void> {
  await eventually(async () => {
    const [row] = await query(primaryUrl, `select 1 from pg_stat_replication where ${condition}`)
    if (!row) throw new Error(`No standby has ${condition}`)
  }, patience)
}

async function promoted(url: string): Promise<void> {
  await eventually(async () => {
    const [row] = await query(url, 'select pg_promote() and not pg_is_in_recovery() as done')
    if (!row?.done) throw new Error('The standby is not promoted yet')
  })
}

/** Of one that recovers, nobody knows before it answers, or has ended. */
async function staysUp({ url, exited }: PostgresServer): Promise<boolean> {
  let up = true
  void exited.then(() => {
    up = false
  })
  const expectAnswer = async () => {
    if (up) await query(url, 'select 1')
  }
  await eventually(expectAnswer, { timeoutMs: RECOVERY_MS })
  return up
}

async function killForGood(server: PostgresServer): Promise<void> {
  killTree(server.pid)
  await server.exited
  await server.stop() // Removes its data.
}
