import { execFile } from 'node:child_process'
import { devNull } from 'node:os'
import { promisify } from 'node:util'

/** Runs git in a folder. @returns what it prints @throws GitError when it exits with another code than 0 */
export async function git(folder: string, ...args: readonly string[]): Promise<string> {
  // A hook that runs this has variables that name its own repository.
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

/** The answer of git is no. */
export class GitError extends Error {}

/** Whether git exits with 0. */
export async function gitAgrees(folder: string, ...args: readonly string[]): Promise<boolean> {
  try {
    await git(folder, ...args)
    return true
  } catch (error) {
    if (error instanceof GitError) return false
    throw error
  }
}
