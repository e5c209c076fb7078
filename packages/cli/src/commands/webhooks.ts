import type { Command } from '@commander-js/extra-typings'
import type { Act, OutsideAct } from '../run-command.ts'
import { addWebhookActs } from '../webhooks/acts.ts'
import { addCheckCommand } from '../webhooks/check.ts'
import { addDeliveriesCommand } from '../webhooks/deliveries.ts'
import { addEndpointCommands } from '../webhooks/endpoints.ts'
import { addRekeyCommand } from '../webhooks/rekey.ts'

export function addWebhookCommands(
  program: Command,
  choose: (act: Act) => void,
  chooseOutside: (act: OutsideAct) => void,
): void {
  const webhooks = program
    .command('webhooks')
    .description("webhooks: merchants' endpoints, the deliveries of events to them, and a check of receivers")
  addEndpointCommands(webhooks, choose)
  addDeliveriesCommand(webhooks, choose)
  addWebhookActs(webhooks, choose)
  addRekeyCommand(webhooks, choose)
  addCheckCommand(webhooks, chooseOutside)
}
