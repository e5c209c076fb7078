import { createLoginToken, readConsoleKeys } from '@cashflow/console/tokens'
import { recordLoginToken } from '@cashflow/db/operator'
import { type Command, Option } from '@commander-js/extra-typings'
import { nameText } from '../arguments.ts'
import { examples } from '../help.ts'
import type { Act } from '../run-command.ts'

const ROLES = ['read', 'operate'] as const

const HELP = `
The token is good for 10 minutes and one login, at the console of any api of this deployment. Give it to the operator, who
pastes it there. KEY_PEPPER has to be the api's, or unset as the api's. A login lasts 12 hours.
`

export function addConsoleCommands(program: Command, choose: (act: Act) => void): void {
  const operators = program.command('console').description('logins to the web console')
  operators
    .command('token')
    .description('print a token for one login to the console')
    .requiredOption('--name <name>', 'the operator that logs in, stored with what the login does', nameText)
    .addOption(
      new Option('--role <role>', 'read: look at everything; operate: act as well')
        .choices(ROLES)
        .makeOptionMandatory(),
    )
    .addHelpText(
      'after',
      HELP + examples('console token --name ann --role read', 'console token --name bob --role operate'),
    )
    .action((options) => choose(token(options)))
}

function token({ name, role }: { name: string; role: (typeof ROLES)[number] }): Act {
  return async ({ db, show, peppers, ...by }) => {
    const keys = await readConsoleKeys(db, peppers)
    const { token, grant } = createLoginToken({ name, role, keys })
    await recordLoginToken(db, grant, by)
    await show({ token, name, role, expires_at: grant.expiresAt })
    return { done: true }
  }
}
