import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

export type Command = readonly [program: string, ...args: string[]]

/** There is nothing here to run containers with. */
export class NoEngine extends Error {}

/**
 * Compose as it is installed here: Docker's plug-in, else the program of its own.
 *
 * @throws NoEngine when that or the engine is missing
 */
export async function findCompose(): Promise<Command> {
  if (!(await succeeds('docker', 'info'))) {
    throw new NoEngine('No Docker engine answers: is one running, and may this user reach it? "docker info" says more.')
  }
  if (await succeeds('docker', 'compose', 'version')) return ['docker', 'compose']
  if (await succeeds('docker-compose', 'version')) return ['docker-compose']
  throw new NoEngine('Docker Compose is missing: neither "docker compose" nor "docker-compose" runs.')
}

function succeeds(program: string, ...args: string[]): Promise<boolean> {
  return run(program, args).then(
    () => true,
    () => false,
  )
}
