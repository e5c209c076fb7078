import type { Database } from '@cashflow/db'
import { type DownFinding, FINDING_PARTS, readFindings, seesAllSessions } from '@cashflow/db/operator'
import { ageText, THRESHOLDS } from '@cashflow/runtime'
import { type Line, lineOf, warning, wrong } from './line.ts'

/** Who has paused what, by its component. */
export type Paused = ReadonlyMap<string, string>

const PAUSE = 'pause by '

/** Returns a line for each finding about a part that is down or delays payments, and for each part that cannot be read. */
export async function findingLines(db: Database): Promise<{ lines: Line[]; paused: Paused }> {
  const found: DownFinding[] = []
  const failed: Line[] = []
  for (const part of FINDING_PARTS) {
    const read = await lineOf(part, async () => {
      found.push(...(await readFindings(db, part)))
      if (part !== 'sessions' || (await seesAllSessions(db))) return READ
      return warning('sessions of others', 'this role may not see what they lock. Grant it pg_read_all_stats.')
    })
    if (read !== READ) failed.push(read)
  }
  const pauses = found.filter(({ finding }) => finding.startsWith(PAUSE))
  const paused = new Map(pauses.map(({ finding, subject }) => [componentOf(subject), finding.slice(PAUSE.length)]))
  return { lines: [...found.map((finding) => findingLine(finding, paused)), ...failed], paused }
}

const READ = warning('read', '')

/** NOT OK is what keeps payments or webhooks from moving, unless a pause explains it: that is an operator's decision. */
function findingLine({ finding, subject, sinceMs }: DownFinding, paused: Paused): Line {
  const since = ageText(sinceMs)
  const lineAfter = (seconds: number) => (sinceMs > seconds * 1_000 ? wrong : warning)
  switch (finding) {
    case 'session locks the outbox':
      return wrong(finding, `${subject}, for ${since}: relays cannot publish. End it: ${endOf(subject)}`)
    case 'open transaction':
      return warning(finding, `${subject}, for ${since}. If it is no backup and no report, end it: ${endOf(subject)}`)
    case 'outbox is late': {
      const pause = explained(paused, 'relay')
      const line = pause === undefined ? lineAfter(THRESHOLDS.lagSecondsMax) : warning
      return line(finding, `the oldest ${subject} waits for ${since}. ${pause ?? LATE}`)
    }
    case 'provider gave no answer': {
      const line = paused.size === 0 ? lineAfter(THRESHOLDS.settleWithinSeconds) : warning
      return line(finding, `to ${subject}, the oldest ${since} old. See "provider is away" in the log of a worker.`)
    }
    case 'webhooks are late':
      return wrong(finding, `to ${subject} that answer, for ${since}. Start processes of the service webhooks.`)
    case 'dead letters':
      return warning(finding, `${subject}, the oldest for ${since}. They need a decision: cashflow dead list`)
    default: {
      const [by, component] = [finding.slice(PAUSE.length), componentOf(subject)]
      const found = `by ${by}, for ${since}: ${subject.slice(component.length + 2)}`
      return warning(`pause of ${component}`, `${found}. To end it: cashflow resume ${component}`)
    }
  }
}

const LATE = 'If no line names a cause, ask RabbitMQ: see "Which part is down" in docs/operations.md.'

/** The component is in front of the reason. */
const componentOf = (subject: string) => subject.split(': ', 1)[0] ?? subject

/** The process id is the second word. */
const endOf = (subject: string) => `select pg_terminate_backend(${subject.split(' ')[1]})`

/** Says which pause explains that a component does nothing. */
export function explained(paused: Paused, component: 'relay' | 'worker' | 'any'): string | undefined {
  const [found] = component === 'any' ? [...paused.keys()] : paused.has(component) ? [component] : []
  return found === undefined ? undefined : `${found} is paused by ${paused.get(found)}: cashflow resume ${found}`
}
