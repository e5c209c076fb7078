import { accessSync, constants, mkdirSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { privateFolder } from './private-folder.ts'

/**
 * The user's cache; or a folder of this user's in /var/tmp: for who has no home, and because RabbitMQ's scripts cannot
 * stand in a path with spaces.
 */
export function cacheFolder(): string {
  const home = process.env.HOME || userInfo().homedir
  const folder = join(process.env.XDG_CACHE_HOME || join(home, '.cache'), 'cashflow')
  if (!/\s/.test(folder) && canMake(folder)) return folder
  return privateFolder(`/var/tmp/cashflow-cache-${userInfo().uid}`)
}

function canMake(folder: string): boolean {
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}
