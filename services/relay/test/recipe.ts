import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Topology } from '@cashflow/messaging'
import type { NewMessage } from '@cashflow/outbox'
import { REPOSITORY } from '@cashflow/testing'

/** What docs/extending.md says under “A new topic with its consumer”, as it is written there. */
export interface Recipe {
  readonly topology: Topology
  readonly queue: string
  /** The messages of a payment that has succeeded: its outcome, and its receipt. */
  messagesOf(paymentId: string): NewMessage[]
}

export async function readRecipe(): Promise<Recipe> {
  const page = await readFile(join(REPOSITORY, 'docs/extending.md'), 'utf8')
  const [, recipe = ''] = page.split('## A new topic with its consumer\n')
  const append = snippetAfter(recipe, '**1. Append**')
  const route = snippetAfter(recipe, '**2. Route**')
  const settling = new Function(
    'payment',
    'event',
    'token',
    'requestId',
    'outcomeMessage',
    'uuidv7',
    'formatMoney',
    append,
  )
  const { topology, queue } = await importTopology(route)
  return {
    topology,
    queue,
    messagesOf(id) {
      const outcome = { messageId: randomUUID(), topic: 'payment.succeeded', payload: {}, mandatory: false }
      const payment = { id, status: 'SUCCESS', currency: 'USD' }
      const settled = settling(
        payment,
        {},
        't',
        'r',
        () => outcome,
        randomUUID,
        () => '1.00',
      )
      return settled.messages.map((message: Omit<NewMessage, 'key'>) => ({ ...message, key: id }))
    },
  }
}

function snippetAfter(text: string, heading: string): string {
  const snippet = /```ts\n([\s\S]*?)```/.exec(text.slice(text.indexOf(heading)))?.[1]
  if (!snippet) throw new Error(`docs/extending.md has no code under ${heading}`)
  return snippet
}

/** Puts the page's function in the place of the one that there is. */
async function importTopology(snippet: string): Promise<{ topology: Topology; queue: string }> {
  const source = join(REPOSITORY, 'packages/messaging/src')
  const before = await readFile(join(source, 'topology.ts'), 'utf8')
  const from = before.search(/(\/\*\*[^/]*\*\/\n)?export function paymentsTopology/)
  const to = before.indexOf('/** @throws what the broker answers')
  if (from < 0 || to < from) throw new Error('topology.ts has no paymentsTopology to replace')
  const after = (before.slice(0, from) + snippet + before.slice(to)).replaceAll(
    /from '\.\/(.*)'/g,
    (_, file) => `from '${pathToFileURL(join(source, file)).href}'`,
  )
  const dir = await mkdtemp(join(tmpdir(), 'cashflow-recipe-'))
  try {
    await writeFile(join(dir, 'topology.ts'), after)
    const { paymentsTopology, RECEIPTS_QUEUE } = await import(pathToFileURL(join(dir, 'topology.ts')).href)
    return { topology: paymentsTopology('payments'), queue: RECEIPTS_QUEUE }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
