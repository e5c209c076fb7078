import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defined, eventually } from '@cashflow/async'
import { killTree, type PostgresServer, query } from '@cashflow/dev-stack'
import { withDatabase } from './addresses.ts'
import { startPostgresOnDisk } from './postgres-disk.ts'
import { makeSynchronous, type Standby, standbysHave, startStandby } from './postgres-standby.ts'
import { createMigrated } from './test-database.ts'

export type ReplicatedPostgres = Awaited<ReturnType<typeof startReplicatedPostgres>>

interface ReplicatedPostgresOptions {
  settings?: Record<string, string>
  /** Size of a disk for each server's data. Only root on Linux, which may mount a tmpfs, gets one. */
  diskMb?: number
}

type Member = Pick<Standby, 'dir' | 'server'>

const STANDBY = 'standby'
const RECOVERY_MS = 60_000

/** Starts a primary with a synchronous standby, for tests that lose the primary repeatedly. */
export async function startReplicatedPostgres(options: ReplicatedPostgresOptions = {}) {
  const root = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
  let made = 0
  const nextDir = () => join(root, `server-${++made}`)
  const first = nextDir()
  let primary: Member = { dir: first, server: await startPostgresOnDisk({ ...options, dir: first }) }
  let standby: (Standby & { isFrozen: boolean }) | undefined
  await createMigrated(primary.server.url, 'payments')

  function attached() {
    if (!standby) throw new Error('no standby is attached')
    return standby
  }

  const replicated = {
    /** A migrated database on the current primary. While a standby is attached, each commit waits for the standby. */
    get url() {
      return withDatabase(primary.server.url, 'payments')
    },
    /** True if the data of each server is on a small disk of its own. */
    get hasSmallDisk() {
      return primary.server.smallDisk !== undefined
    },
    /** Stops replication: from now on the standby receives nothing. */
    freezeReplication() {
      attached().isFrozen = true
      attached().replication.freeze()
    },
    /**
     * Kills each process of the primary with SIGKILL, removes its data, and promotes the standby. Resolves when the new
     * primary accepts writes, which wait for no standby until `attachStandby()`.
     *
     * Unless replication is frozen, the standby first receives everything: after a crash, a primary shows what it had
     * not replicated yet.
     *
     * @param onLost called before the promotion, with the URL of the standby, which is still read-only, and awaited
     */
    async failOver(onLost?: (standbyUrl: string) => Promise<void> | void) {
      const { dir, server, replication, isFrozen } = attached()
      if (!isFrozen) await caughtUp(primary.server.url)
      await killForGood(primary.server)
      primary = { dir, server }
      standby = undefined
      await onLost?.(withDatabase(server.url, 'payments'))
      await replication.stop()
      await promoted(server.url)
    },
    /** Makes a new standby of the primary, which may be under writes. */
    async attachStandby() {
      if (standby) throw new Error('a standby is attached already')
      const from = { url: primary.server.url, dir: primary.dir }
      const started = await startStandby({ ...options, primary: from, dir: nextDir(), name: STANDBY })
      standby = { ...started, isFrozen: false }
      await makeSynchronous(primary.server.url, [STANDBY])
    },
    /** Ends every process of the primary at once, without flushing: SIGQUIT is `pg_ctl stop -m immediate`. */
    async crash() {
      process.kill(primary.server.pid, 'SIGQUIT')
      await primary.server.exited
    },
    /**
     * Starts the primary again at its address, if it has ended. It recovers from its WAL, and the standby reconnects by
     * itself. Resolves when the primary answers.
     */
    async start() {
      const { dir, server } = primary
      if (await staysUp(server)) return
      primary = { dir, server: await startPostgresOnDisk({ ...options, dir, port: server.port }) }
    },
    /** Fills the primary's small disk. The primary then answers 53100, or ends because it has no room for its WAL. */
    fillDisk: async () => smallDiskOf(primary).fill(),
    freeDisk: async () => smallDiskOf(primary).free(),
    async stop() {
      await standby?.replication.stop()
      await Promise.all([primary.server.stop(), standby?.server.stop()])
      await rm(root, { recursive: true, force: true })
    },
  }
  await using unfinished = new AsyncDisposableStack()
  unfinished.defer(replicated.stop)
  await replicated.attachStandby()
  unfinished.move()
  return replicated
}

function smallDiskOf({ server }: Member) {
  if (!server.smallDisk) throw new Error('the primary has no small disk')
  return server.smallDisk
}

/** Resolves when the standby has replayed all WAL that the primary has on disk now, and each commit waits for it. */
async function caughtUp(primaryUrl: string): Promise<void> {
  const [row] = await eventually(() => query(primaryUrl, 'select pg_current_wal_flush_lsn() as flushed'))
  const condition = `state = 'streaming' and sync_state = 'quorum' and replay_lsn >= '${defined(row, 'row').flushed}'`
  await standbysHave(primaryUrl, condition, { timeoutMs: RECOVERY_MS })
}

async function promoted(url: string): Promise<void> {
  await eventually(async () => {
    const [row] = await query(url, 'select pg_promote() and not pg_is_in_recovery() as done')
    if (!row?.done) throw new Error('The standby is not promoted yet')
  })
}

/** Waits until a server that may be recovering answers or has ended. Returns whether it runs. */
function staysUp({ url, exited }: PostgresServer): Promise<boolean> {
  const answered = eventually(() => query(url, 'select 1'), { timeoutMs: RECOVERY_MS })
  return Promise.race([answered.then(() => true), exited.then(() => false)])
}

async function killForGood(server: PostgresServer): Promise<void> {
  killTree(server.pid)
  await server.exited
  await server.stop() // Removes its data.
}
