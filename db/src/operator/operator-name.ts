import { hostname, userInfo } from 'node:os'

/** The user of the operating system and the machine: operators may share a role of the database. */
export function operatorName(): string {
  try {
    return `${userInfo().username}@${hostname()}`
  } catch {
    return hostname() // A container may run with a user id that has no name.
  }
}
