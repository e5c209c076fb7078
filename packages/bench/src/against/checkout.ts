import { execFile } from 'node:child_process'
import { existsSync, realpathSync, rmSync } from 'node:fs'
import { devNull } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { aborted } from '@cashflow/async'
import { describeExit, startDaemon, UsageError } from '@cashflow/dev-stack'
import { REPOSITORY } from '@cashflow/testing'
import { productIn } from '../contender.ts'
import { endOf } from '../process.ts'

/** Cashflow in another commit. */
export type Opponent = Awaited<ReturnType<typeof checkOut>>

export interface CheckoutOptions {
  /** The repository that has the commit. Its own checkout is not changed. */
  readonly repository: string
  /** A hash, a branch, a tag, `HEAD~3`. */
  readonly commit: string
  /** The folder for trees of commits. Each tree has a folder that is named by the full hash. */
  readonly dir: string
  readonly say: (line: string) => void
  readonly signal: AbortSignal
}

/** The files of a tree that a comparison runs. A tree that lacks one of them is too old. */
const NEEDED = [
  'pnpm-lock.yaml',
  'packages/outbox/src/index.ts',
  ...['api', 'relay', 'worker'].map((role) => `services/${role}/src/main.ts`),
]
const STOP_MS = 5_000

/**
 * Creates a git worktree of the commit, and installs the packages of its own lockfile. Both are kept for the next run.
 *
 * @throws UsageError when there is no such commit, or when it cannot be compared
 */
export async function checkOut(options: CheckoutOptions) {
  const { repository, dir, say, signal } = options
  const commit = await resolve(repository, options.commit)
  /** The commit as it was typed, with the beginning of its hash. */
  const label = `${options.commit} (${commit.slice(0, 7)})`
  for (const file of NEEDED)
    if ((await tryGit(repository, 'cat-file', '-e', `${commit}:${file}`)) === undefined)
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

/** Returns whether the folder is a complete, unchanged checkout of the commit. */
async function isClean(root: string, commit: string): Promise<boolean> {
  // In a folder without its own checkout, git answers for the checkout around it.
  const isOwn = existsSync(root) && (await tryGit(root, 'rev-parse', '--show-toplevel')) === realpathSync(root)
  if (!isOwn || (await tryGit(root, 'rev-parse', 'HEAD')) !== commit) return false
  return (await tryGit(root, 'status', '--porcelain')) === ''
}

async function addWorktree(repository: string, root: string, commit: string): Promise<void> {
  // Twice --force, because a worktree whose creation was killed is locked.
  await tryGit(repository, 'worktree', 'remove', '--force', '--force', root)
  rmSync(root, { recursive: true, force: true })
  await git(repository, 'worktree', 'add', '--force', '--force', '--detach', root, commit)
}

async function install(root: string, logFile: string, signal: AbortSignal): Promise<void> {
  rmSync(logFile, { force: true })
  const daemon = await startDaemon({
    file: join(REPOSITORY, 'node_modules/.bin/pnpm'),
    args: ['install', '--frozen-lockfile', '--prefer-offline'],
    cwd: root,
    env: { ...process.env, CI: 'true' }, // Without it, pnpm may ask a question.
    output: { file: logFile },
  })
  void aborted(signal).then(() => daemon.stop([{ signal: 'SIGTERM', patienceMs: STOP_MS }]))
  const exit = await daemon.exited
  signal.throwIfAborted()
  if (exit.code !== 0)
    throw new Error(`pnpm install ended by ${describeExit(exit)} in ${root}; the end of ${logFile}:\n${endOf(logFile)}`)
}

/** Runs git in a folder. @returns its output @throws GitError when its exit code is not 0 */
export async function git(folder: string, ...args: readonly string[]): Promise<string> {
  // In a git hook, the environment has variables that name the hook's repository.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('GIT_')))
  const options = ['-C', folder, '-c', `core.hooksPath=${devNull}`]
  try {
    const { stdout } = await promisify(execFile)('git', [...options, ...args], { env })
    return stdout.trim()
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string }
    throw typeof code === 'number' ? new GitError(`git ${args.join(' ')}: ${stderr?.trim()}`) : error
  }
}

/** Git has exited with another code than 0. */
class GitError extends Error {}

/** Runs git. Resolves with undefined when its exit code is not 0. */
async function tryGit(folder: string, ...args: readonly string[]): Promise<string | undefined> {
  try {
    return await git(folder, ...args)
  } catch (error) {
    if (error instanceof GitError) return undefined
    throw error
  }
}
