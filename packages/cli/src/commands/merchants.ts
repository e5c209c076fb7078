import { createMerchant, listMerchants, type Merchant } from '@cashflow/db/operator'
import type { Command } from '@commander-js/extra-typings'
import { nameText } from '../arguments.ts'
import { examples } from '../help.ts'
import type { Act } from '../run-command.ts'

export function addMerchantCommands(program: Command, choose: (act: Act) => void): void {
  const merchants = program.command('merchants').description('merchants: the owners of payments and of keys')
  merchants
    .command('create')
    .description('create a merchant, and print its id')
    .argument('<name>', 'name of the merchant, unique', nameText)
    .addHelpText('after', examples('merchants create Acme'))
    .action((name) => choose(create(name)))
  merchants
    .command('list')
    .description('print all merchants, the oldest first')
    .addHelpText('after', examples('merchants list'))
    .action(() => choose(list))
}

function create(name: string): Act {
  return async ({ db, show, ...by }) => {
    const result = await createMerchant(db, { name, by })
    if (result.done) await show(toFields(result.merchant))
    return result
  }
}

const list: Act = async ({ db, show }) => {
  await show((await listMerchants(db)).map(toFields), { none: 'No merchants.' })
  return { done: true }
}

function toFields({ id, name, createdAt }: Merchant) {
  return { id, name, created_at: createdAt }
}
