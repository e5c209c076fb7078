import { realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describeExit, startDaemon, UsageError } from '@cashflow/dev-stack'
import { REPOSITORY } from '@cashflow/testing'
import { type Product, productIn } from '../contender.ts'
import { endOf } from '../process.ts'
import { GitError, git, gitAgrees } from './git.ts'

/** Cashflow as another commit has it. */
export interface Opponent {
  readonly product: Product
  /** The full hash. */
  readonly commit: string
  /** As it was typed, with the beginning of the hash. */
  readonly label: string
}

export interface CheckoutOptions {
  /** The repository that has the commit. Its own checkout stays as it is. */
  readonly repository: string
  /** A hash, a branch, a tag, `HEAD~3`. */
  readonly commit: string
  /** Where the trees of commits are, each in a folder that is named by the full hash. */
  readonly dir: string
  readonly say: (line: string) => void
  readonly signal: AbortSignal
}

/** What is run of a tree: one that lacks any of these is older than what can be compared. */
const NEEDED = [
  'pnpm-lock.yaml',
  'db/src/migrate-main.ts',
  'packages/outbox/src/index.ts',
  ...['api', 'relay', 'worker'].map((role) => `services/${role}/src/main.ts`),
]
const STOP_MS = 5_000

/**
 * Makes a git worktree of the commit, and installs the packages of its own lockfile. Both are kept for the next time.
 *
 * @throws UsageError when there is no such commit, or when it cannot be compared
 */
export async function checkOut(options: CheckoutOptions): Promise<Opponent> {
  const { repository, dir, say, signal } = options
  const commit = await resolve(repository, options.commit)
  const label = `${options.commit} (${commit.slice(0, 7)})`
  for (const file of NEEDED)
    if (!(await gitAgrees(repository, 'cat-file', '-e', `${commit}:${file}`)))
      throw new UsageError(`${label} cannot be compared: it has no ${file}`)
  const root = join(dir, commit)
  if (!(await isClean(root, commit))) {
    say(`checking out ${label}`)
    await addWorktree(repository, root, commit)
  }
  signal.throwIfAborted()
  say(`installing the packages of ${label}`)
  await install(root, `${root}-install.log`, signal)
  return { product: productIn(root, 'bench_opponent'), commit, label }
}

async function resolve(repository: string, commit: string): Promise<string> {
  try {
    return await git(repository, 'rev-parse', '--verify', '--end-of-options', `${commit}^{commit}`)
  } catch (error) {
    if (!(error instanceof GitError)) throw error
    throw new UsageError(`--against: there is no commit "${commit}" in ${repository}\n${error.message}`)
  }
}

/** Whether the folder is a whole checkout of the commit, in which no file was changed. */
async function isClean(root: string, commit: string): Promise<boolean> {
  try {
    // In a folder that is no checkout of its own, git answers for the one around it.
    if ((await git(root, 'rev-parse', '--show-toplevel')) !== realpathSync(root)) return false
    return (await git(root, 'rev-parse', 'HEAD')) === commit && (await git(root, 'status', '--porcelain')) === ''
  } catch (error) {
    if (error instanceof GitError) return false
    throw error
  }
}

async function addWorktree(repository: string, root: string, commit: string): Promise<void> {
  // Twice --force: one that was killed while it was made is locked.
  await gitAgrees(repository, 'worktree', 'remove', '--force', '--force', root)
  rmSync(root, { recursive: true, force: true })
  await git(repository, 'worktree', 'add', '--force', '--force', '--detach', root, commit)
}

async function install(root: string, logFile: string, signal: AbortSignal): Promise<void> {
  rmSync(logFile, { force: true })
  const daemon = await startDaemon({
    file: join(REPOSITORY, 'node_modules/.bin/pnpm'),
    args: ['install', '--frozen-lockfile', '--prefer-offline'],
    cwd: root,
    env: { ...process.env, CI: 'true' }, // It asks no questions.
    output: { file: logFile },
  })
  const stop = () => void daemon.stop([{ signal: 'SIGTERM', patienceMs: STOP_MS }])
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()
  const exit = await daemon.exited
  signal.removeEventListener('abort', stop)
  signal.throwIfAborted()
  if (exit.code !== 0)
    throw new Error(`pnpm install ended by ${describeExit(exit)} in ${root}; the end of ${logFile}:\n${endOf(logFile)}`)
}
