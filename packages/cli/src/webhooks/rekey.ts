import { rekeySecrets } from '@cashflow/db/operator'
import { visible } from '@cashflow/runtime'
import { createSecretBox } from '@cashflow/webhook-sender'
import type { Command } from '@commander-js/extra-typings'
import { examples } from '../help.ts'
import { untilInterrupt } from '../interrupt.ts'
import { type Act, noteFound } from '../run-command.ts'

const HELP = `
It needs SECRETS_KEY, the same as that of the api and of webhooks. First set a new key in front of the old one there, and restart
them. Remove the old key from the list when this command has exited with 0. It runs beside the services, and can be interrupted
and repeated. An endpoint whose secrets cannot be opened is listed, stays as it is, and makes the exit code 1.
`

/** @param webhooks the command `webhooks` */
export function addRekeyCommand(webhooks: Command, choose: (act: Act) => void): void {
  webhooks
    .command('rekey')
    .description('seal the secrets of all endpoints with the first key of SECRETS_KEY')
    .addHelpText('after', HELP + examples('webhooks rekey'))
    .action(() => choose(rekey))
}

const NO_KEY = {
  done: false,
  why: 'SECRETS_KEY is not set. Set the same one as for the api, with the new key in front.',
} as const

const rekey: Act = async ({ db, show, progress, secretKeys, actor, via }) => {
  if (!secretKeys) return NO_KEY
  const box = createSecretBox(secretKeys)
  const interrupted = untilInterrupt()
  const counts = await rekeySecrets(db, {
    by: { actor, via },
    keyId: box.currentKeyId,
    reseal: (sealed, endpointId) => box.seal(box.open(sealed, endpointId), endpointId),
    onProgress: ({ rekeyed, refused }) => progress.report(`${rekeyed} endpoints, ${refused} refused`),
    onRefused: async (id, why) => {
      noteFound()
      progress.clear()
      process.stderr.write(`${visible(`endpoint ${id}: ${why}`)}\n`)
    },
    signal: interrupted,
  })
  await show({ key: box.currentKeyId, rekeyed: counts.rekeyed, refused: counts.refused })
  if (interrupted.aborted) return { done: false, why: 'Interrupted. Run it again.' }
  if (counts.refused > 0)
    return { done: false, why: `${counts.refused} endpoints were not rekeyed. Keep their keys in SECRETS_KEY.` }
  return { done: true }
}
