import { redactedErrorMessage } from '@cashflow/runtime'
import { type Command, InvalidArgumentError, Option } from '@commander-js/extra-typings'
import { runChecks } from '../conformance/check.ts'
import { type Deployment, openDeployment } from '../conformance/deployment.ts'
import { ERRORS } from '../conformance/errors.ts'
import { IDEMPOTENCY } from '../conformance/idempotency.ts'
import { LIMITS } from '../conformance/limits.ts'
import { examples } from '../help.ts'
import { noteFound, type OutsideAct } from '../run-command.ts'

const HELP = `
It creates some 50 payments of 1.00 USD and others, so it refuses a deployment that is not a sandbox. It needs no settings and
no database. Exit code 1 means that a check failed.
`

export function addConformanceCommand(program: Command, choose: (act: OutsideAct) => void): void {
  program
    .command('conformance')
    .description('check idempotency, errors and limits of an API, and print a table')
    .argument('<url>', 'address of the API, such as https://payments.example.com', httpUrl)
    // Other users of the machine see the arguments of a process, and not its environment.
    .addOption(new Option('--key <key>', 'API key with both scopes, where the API asks for one').env('CASHFLOW_KEY'))
    .addHelpText('after', HELP + examples('conformance http://127.0.0.1:8080'))
    .action((url, { key }) => choose(conformance(url, key)))
}

function httpUrl(text: string): string {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new InvalidArgumentError('An address is such as https://payments.example.com.')
  return text
}

function conformance(url: string, key: string | undefined): OutsideAct {
  return async ({ show }) => {
    const deployment = openDeployment(url, key)
    const refusal = key?.startsWith('cf_live_') ? 'The key is of a live deployment.' : await refusalOf(url, deployment)
    if (refusal !== undefined) return { done: false, why: refusal }
    const results = await runChecks([...IDEMPOTENCY, ...ERRORS, ...LIMITS], deployment)
    const failed = results.filter(({ result }) => result === 'FAILED').length
    if (failed > 0) noteFound()
    await show(results.map((result) => ({ ...result })))
    return failed === 0 ? { done: true } : { done: false, why: `${failed} of ${results.length} checks failed.` }
  }
}

/** Why no payment may be created there. Only a sandbox has the route that advances payments, so its GET is a 405. */
async function refusalOf(url: string, { ask }: Deployment): Promise<string | undefined> {
  const answer = await ask('/test/payments/conformance/advance').catch((error: unknown) => {
    throw new Error(`${url} does not answer: ${redactedErrorMessage(error)}`)
  })
  if (answer.status === 405) return undefined
  if (answer.status === 401) return 'The API does not accept the key.'
  return `It is no sandbox of Cashflow: the answer to a request that only a sandbox knows is ${answer.status}.`
}
