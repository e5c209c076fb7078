import type { Done } from '@cashflow/db'
import {
  DELIVERIES_COUNTED_MAX,
  findSeenEndpoint,
  listActions,
  listMerchants,
  type SeenEndpoint,
  searchEndpoints,
} from '@cashflow/db/operator'
import { isUuid } from '@cashflow/domain'
import { jsonLine } from '@cashflow/runtime'
import { type Command, Option } from '@commander-js/extra-typings'
import { limitNumber, nameText, uuidOf } from '../arguments.ts'
import { toActionFields } from '../commands/audit.ts'
import { examples } from '../help.ts'
import { showWithout } from '../left-out.ts'
import { type Act, type Context, print } from '../run-command.ts'
import type { Fields } from '../show.ts'

const ACTS_MAX = 100
const ID = '0197f3c0-0000-7000-8000-0123456789ab'

/** @param webhooks the command `webhooks` */
export function addEndpointCommands(webhooks: Command, choose: (act: Act) => void): void {
  webhooks
    .command('list')
    .description('print endpoints of all merchants, the oldest first')
    .option('--merchant <name or id>', 'only those of this merchant', nameText)
    .addOption(new Option('--failing', 'only enabled ones whose last attempts failed').conflicts('disabled'))
    .option('--disabled', 'only disabled ones')
    .option('--after <id>', 'id of the last endpoint of the page before', uuidOf('endpoint'))
    .option('--limit <number>', 'endpoints of a page, up to 1000', limitNumber, 50)
    .addHelpText('after', examples('webhooks list', 'webhooks list --failing', 'webhooks list --merchant shop --json'))
    .action(({ merchant, failing, disabled, after, limit }) => {
      const state = failing ? 'failing' : disabled ? 'disabled' : undefined
      choose((context) => list(context, merchant, { state, after, limit }))
    })
  webhooks
    .command('show')
    .description('print all about an endpoint, but no secret, and what operators did about it')
    .argument('<endpoint>', 'id of the endpoint, as list prints it', uuidOf('endpoint'))
    .addHelpText('after', examples(`webhooks show ${ID}`))
    .action((id) => choose((context) => show(context, id)))
}

interface Page {
  readonly state: 'failing' | 'disabled' | undefined
  readonly after: string | undefined
  readonly limit: number
}

async function list(
  { db, json, show, secretKeys }: Context,
  merchant: string | undefined,
  { limit, ...page }: Page,
): Promise<Done> {
  const merchantId = merchant === undefined || isUuid(merchant) ? merchant?.toLowerCase() : await idOf(db, merchant)
  if (merchant !== undefined && merchantId === undefined) return { done: false, why: 'No merchant has this name.' }
  const { endpoints, leftOut } = await searchEndpoints(db, { ...page, merchantId, limit: limit + 1 })
  const shown = endpoints.slice(0, limit)
  return await showWithout({ leftOut, none: 'No endpoints.' }, async (none) => {
    await show(
      shown.map((endpoint) => (json ? toFields(endpoint, secretKeys) : toColumns(endpoint))),
      { none },
    )
    if (endpoints.length > limit) process.stderr.write(`More: --after ${shown.at(-1)?.id}\n`)
  })
}

/** The names of merchants are few, and unique. */
async function idOf(db: Context['db'], name: string): Promise<string | undefined> {
  return (await listMerchants(db)).find((merchant) => merchant.name === name)?.id
}

async function show({ db, json, show, secretKeys }: Context, id: string): Promise<Done> {
  const endpoint = await findSeenEndpoint(db, id)
  if (!endpoint) return { done: false, why: 'No endpoint has this id, or it was deleted.' }
  const acts = (await listActions(db, { target: id, limit: ACTS_MAX })).map((act) => toActionFields(act))
  const fields = toFields(endpoint, secretKeys)
  if (json) await print(jsonLine({ ...fields, acts }))
  else {
    await show({ ...fields, pending: pendingText(endpoint) })
    await show(acts)
  }
  return { done: true }
}

function stateOf({ disabledReason, failingSince }: SeenEndpoint): string {
  if (disabledReason !== null) return `disabled: ${disabledReason}`
  return failingSince === null ? 'enabled' : 'failing'
}

function pendingText({ pending }: SeenEndpoint): string {
  return pending > DELIVERIES_COUNTED_MAX ? `over ${DELIVERIES_COUNTED_MAX}` : String(pending)
}

/** What fits into a line of a terminal. */
function toColumns(endpoint: SeenEndpoint): Fields {
  const { id, merchant, merchantId, url, failingSince, oldestDueAt } = endpoint
  return {
    id,
    merchant: merchant ?? merchantId,
    url,
    state: stateOf(endpoint),
    failing_since: failingSince,
    pending: pendingText(endpoint),
    oldest_due: oldestDueAt,
  }
}

function toFields(endpoint: SeenEndpoint, secretKeys: Context['secretKeys']) {
  return {
    id: endpoint.id,
    merchant_id: endpoint.merchantId,
    merchant: endpoint.merchant,
    url: endpoint.url,
    description: endpoint.description,
    types: endpoint.types,
    ordering: endpoint.ordering,
    state: stateOf(endpoint),
    disabled_at: endpoint.disabledAt,
    missed_since: endpoint.missedSince,
    failing_since: endpoint.failingSince,
    failures: endpoint.failures,
    last_failure: endpoint.lastFailure,
    succeeded_at: endpoint.succeededAt,
    held_until: endpoint.heldUntil,
    pending: Math.min(endpoint.pending, DELIVERIES_COUNTED_MAX),
    pending_is_capped: endpoint.pending > DELIVERIES_COUNTED_MAX,
    oldest_due: endpoint.oldestDueAt,
    replay: endpoint.replay && {
      id: endpoint.replay.id,
      replayed: endpoint.replay.replayed,
      reached_at: endpoint.replay.reachedAt,
    },
    secrets_keys: endpoint.keyIds.map((id) => `${id}${keyState(id, secretKeys)}`),
    created_at: endpoint.createdAt,
  }
}

/** Nothing without `SECRETS_KEY`. A secret under an unknown key signs nothing. */
function keyState(id: string, keys: Context['secretKeys']): string {
  if (!keys) return ''
  const index = keys.findIndex((key) => key.id === id)
  return index < 0 ? ' unknown' : index === 0 ? ' current' : ' old'
}
