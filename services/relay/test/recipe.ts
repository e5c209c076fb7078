import { randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Topology } from '@cashflow/messaging'
import type { NewMessage } from '@cashflow/outbox'
import { REPOSITORY } from '@cashflow/testing'

/** The code of docs/extending.md under “A new topic with its consumer”. */
export interface Recipe {
  /** The receipts' queue, on the exchange `payments`. */
  readonly topology: Topology
  /** The messages of a payment that has succeeded: its outcome, and its receipt. */
  messagesOf(paymentId: string): NewMessage[]
}

export async function readRecipe(): Promise<Recipe> {
  const page = await readFile(join(REPOSITORY, 'docs/extending.md'), 'utf8')
  const [, recipe = ''] = page.split('## A new topic with its consumer\n')
  const { settlementOf } = await run(`
    import type { NewMessage } from '@cashflow/outbox'
    export function settlementOf(payment, event, claim, requestId, { outcomeMessage, uuidv7, formatMoney }) {
      ${snippetAfter(recipe, '**1. Append**')}
    }`)
  const { receiptsTopology } = await run(snippetAfter(recipe, '**2. Route**'))
  return {
    topology: receiptsTopology('payments'),
    messagesOf(id) {
      const payment = { id, status: 'SUCCESS', currency: 'USD' }
      const outcome = { messageId: randomUUID(), key: id, topic: 'payment.succeeded', payload: {}, mandatory: false }
      const builders = { outcomeMessage: () => outcome, uuidv7: randomUUID, formatMoney: () => '1.00' }
      return settlementOf(payment, {}, {}, 'r', builders).messages
    },
  }
}

function snippetAfter(text: string, heading: string): string {
  const snippet = /```ts\n([\s\S]*?)```/.exec(text.slice(text.indexOf(heading)))?.[1]
  if (!snippet) throw new Error(`docs/extending.md has no code under ${heading}`)
  return snippet
}

/** Imports a module of the page, with this repository's messaging. */
async function run(module: string) {
  const dir = await mkdtemp(join(tmpdir(), 'cashflow-recipe-'))
  try {
    const file = join(dir, 'module.ts')
    await writeFile(file, module.replace('@cashflow/messaging', import.meta.resolve('@cashflow/messaging')))
    return await import(pathToFileURL(file).href)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
