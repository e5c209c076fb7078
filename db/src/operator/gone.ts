import { ageText } from '@cashflow/runtime'
import type { SeenInstance } from '../instances/instances.ts'

/** Age of a heartbeat from which a process counts as gone, in milliseconds, as in docs/operations.md. */
const GONE_MS = 10_000
/** Age of a heartbeat up to which `listInstances` lists a process, in milliseconds. */
const LISTED_MS = 15 * 60_000

/** The processes that did not stop cleanly, and write no heartbeat any more. */
export const isGone = ({ ageMs }: SeenInstance) => ageMs > GONE_MS

/**
 * Returns the processes that are gone and were replaced: another process of the role was started after the last heartbeat of
 * each. A process replaces one other. It may be gone itself, and then needs a replacement.
 */
export function replacedOf(instances: readonly SeenInstance[]): ReadonlySet<SeenInstance> {
  const free = new Set(instances)
  const replaced = new Set<SeenInstance>()
  // The last one first: it has the fewest processes that were started after it.
  for (const gone of instances.filter(isGone).toSorted((one, other) => one.ageMs - other.ageMs))
    for (const other of free)
      if (other.role === gone.role && other.startedAt > gone.seenAt) {
        free.delete(other)
        replaced.add(gone)
        break
      }
  return replaced
}

/** Says of a process that was replaced what became of it, and until when it is listed. */
export function replacedText({ instance, ageMs }: SeenInstance, now = Date.now()): string {
  const until = new Date(now + LISTED_MS - ageMs).toISOString().slice(11, 16)
  return `${instance} was not seen for ${ageText(ageMs)}, ended without a clean stop, and was replaced; this line ends at ${until} UTC`
}

/** Says what to do about a process that is gone or frozen. `others` are all processes, also itself. */
export function endText({ instance }: SeenInstance, others: readonly SeenInstance[]): string {
  const at = instance.lastIndexOf(':')
  const [host, pid] = [instance.slice(0, at), instance.slice(at + 1)]
  // In a container that was restarted, the new process may have the host and the process id of the former one.
  const isNameInUse = others.some((other) => other.instance === instance && !isGone(other))
  if (isNameInUse) return 'Start another one, if your supervisor does not.'
  return `If it still runs on ${host}, it is frozen: kill -9 ${pid}. Then start another one, if your supervisor does not.`
}
