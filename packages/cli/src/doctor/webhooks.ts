import type { Database } from '@cashflow/db'
import {
  countSecretsByKey,
  countTroubled,
  findAsleep,
  hasEndpoints,
  readFanOutLag,
  readSecrets,
} from '@cashflow/db/operator'
import { ageText, THRESHOLDS } from '@cashflow/runtime'
import { createSecretBox, type SealingKey } from '@cashflow/webhook-sender'
import type { OperatorSettings } from '../settings.ts'
import { type Line, lineOf, ok, warning, wrong } from './line.ts'

/** Endpoints whose secrets are opened. */
const OPENED_MAX = 1_000
const [SECRETS, FAN_OUT, QUEUES, ENDPOINTS] = [
  'secrets of webhooks',
  'fan-out of webhooks',
  'queues of webhooks',
  'webhook endpoints',
] as const

/** Checks what webhooks need. No lines without an endpoint. */
export async function webhookLines(db: Database, { secretKeys }: OperatorSettings): Promise<Line[]> {
  // A table that cannot be read is a finding of each check.
  if (!(await hasEndpoints(db).catch(() => true))) return []
  return [
    await lineOf(SECRETS, () => secretsLine(db, secretKeys)),
    await lineOf(FAN_OUT, () => fanOutLine(db)),
    await lineOf(QUEUES, () => queuesLine(db)),
    await lineOf(ENDPOINTS, () => endpointsLine(db)),
  ]
}

async function secretsLine(db: Database, keys: readonly [SealingKey, ...SealingKey[]] | undefined): Promise<Line> {
  const counts = await countSecretsByKey(db)
  const used = [...counts].map(([id, secrets]) => `${secrets} with key ${id}`).join(', ')
  if (!keys) return ok(SECRETS, `sealed: ${used}. Not opened, because SECRETS_KEY is not set here`)
  const unknown = [...counts.keys()].filter((id) => !keys.some((key) => key.id === id))
  if (unknown.length > 0)
    return wrong(
      SECRETS,
      `sealed: ${used}. Add the key ${unknown.join(', ')} to SECRETS_KEY: its endpoints get no webhooks. If it is lost, their merchants rotate the secrets.`,
    )
  const box = createSecretBox(keys)
  const changed = (await readSecrets(db, OPENED_MAX)).filter(
    ({ endpointId, ...sealed }) => !opens(box, sealed, endpointId),
  )
  if (changed.length > 0) {
    const ids = [...new Set(changed.map(({ endpointId }) => endpointId))].slice(0, 3).join(', ')
    return wrong(
      SECRETS,
      `${changed.length} were changed in the database, such as of ${ids}. Rotate the secrets of these endpoints.`,
    )
  }
  const isOld = [...counts.keys()].some((id) => id !== keys[0].id)
  return ok(SECRETS, `sealed: ${used}${isOld ? '. Before you remove an old key: cashflow webhooks rekey' : ''}`)
}

function opens(
  box: ReturnType<typeof createSecretBox>,
  sealed: Parameters<typeof box.open>[0],
  endpointId: string,
): boolean {
  try {
    box.open(sealed, endpointId)
    return true
  } catch {
    return false
  }
}

async function fanOutLine(db: Database): Promise<Line> {
  const { lagMs, foreign } = await readFanOutLag(db)
  if (foreign > 0)
    return wrong(FAN_OUT, `no process has looked for ${foreign} merchants since a restore. Start the service webhooks.`)
  const found =
    lagMs > 0 ? `the oldest event without deliveries is ${ageText(lagMs)} old` : 'each event has its deliveries'
  if (lagMs <= THRESHOLDS.lagSecondsMax * 1_000) return ok(FAN_OUT, found)
  return wrong(FAN_OUT, `${found}. Start the service webhooks, or see its logs.`)
}

async function queuesLine(db: Database): Promise<Line> {
  const [first, ...others] = await findAsleep(db)
  if (!first) return ok(QUEUES, 'each is looked at when its first delivery is due')
  const { id, dueAt, leastDueAt } = first
  const due = leastDueAt ? `due at ${leastDueAt.toISOString()}` : 'that waits for a finished one'
  const when = dueAt ? `at ${dueAt.toISOString()}` : 'never'
  return wrong(
    QUEUES,
    `${others.length + 1} sleep, such as that of endpoint ${id}: it has a delivery ${due}, and is looked at ${when}. To wake it: cashflow webhooks disable, then enable.`,
  )
}

async function endpointsLine(db: Database): Promise<Line> {
  const { failing, disabled } = await countTroubled(db)
  if (failing + disabled === 0) return ok(ENDPOINTS, 'none is failing, and none was disabled because it failed')
  return warning(
    ENDPOINTS,
    `${failing} are failing, ${disabled} were disabled because they failed: cashflow webhooks list --failing, or --disabled`,
  )
}
