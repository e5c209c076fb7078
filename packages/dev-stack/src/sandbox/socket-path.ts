import { join, relative } from 'node:path'

/** Of `sockaddr_un`, without its last byte. macOS has four bytes fewer. */
const PATH_BYTES_MAX = process.platform === 'linux' ? 107 : 103

/**
 * The path of a sandbox's socket, for this process and for the services, which run in `cwd`. Undefined if it is too long for a
 * socket, also from there.
 */
export function socketPath(stateDir: string, cwd: string): string | undefined {
  const path = join(stateDir, 'sandbox.sock')
  if (Buffer.byteLength(path) <= PATH_BYTES_MAX) return path
  const shorter = relative(cwd, path)
  return process.cwd() === cwd && Buffer.byteLength(shorter) <= PATH_BYTES_MAX ? shorter : undefined
}
