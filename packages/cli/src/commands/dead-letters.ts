import type { Done } from '@cashflow/db'
import { discard, requeue } from '@cashflow/db/operator'
import { listDeadLetters } from '@cashflow/outbox'
import { type Command, InvalidArgumentError } from 'commander'
import { reasonText } from '../arguments.ts'
import { type Act, type Context, print } from '../run-command.ts'

const LIST_MAX = 1_000

const HELP = `
In a checkout: npm run dead -- list. With Compose: docker compose run --rm migrate dead list`

export function addDeadLetterCommands(program: Command, choose: (act: Act) => void): void {
  const dead = program.command('dead').description('dead letters: payments and messages that need an operator')
  dead.addHelpText('afterAll', HELP)
  dead
    .command('list')
    .description('print unresolved dead letters, the oldest first, one JSON object a line')
    .action(() => choose(list))
  dead
    .command('requeue')
    .description('resolve a dead letter, and send its payment or its message through the pipeline again')
    .argument('<id>', 'id of the dead letter, as list prints it', deadLetterId)
    .action((id: string) => choose((context) => resolve(context, id, 'requeued', requeue(context.db, id))))
  dead
    .command('discard')
    .description('resolve a dead letter, and do nothing else')
    .argument('<id>', 'id of the dead letter, as list prints it', deadLetterId)
    .requiredOption('--reason <text>', 'why, stored with the dead letter', reasonText)
    .action((id: string, { reason }: { reason: string }) =>
      choose((context) => resolve(context, id, 'discarded', discard(context.db, id, reason))),
    )
}

async function resolve({ show }: Context, id: string, resolution: string, resolving: Promise<Done>): Promise<Done> {
  const result = await resolving
  if (result.done) await show({ id, resolution })
  return result
}

const list: Act = async ({ db }) => {
  for (const { resolution, diedAt, ...letter } of await listDeadLetters(db, { limit: LIST_MAX }))
    await print(JSON.stringify({ ...letter, died_at: diedAt }))
  return { done: true }
}

function deadLetterId(text: string): string {
  if (!/^[1-9]\d{0,17}$/.test(text)) throw new InvalidArgumentError('The id is a number, as list prints it.')
  return text
}
