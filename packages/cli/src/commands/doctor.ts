import { styleText } from 'node:util'
import { ConfigError, jsonLine, visible } from '@cashflow/runtime'
import type { Command } from '@commander-js/extra-typings'
import { brokerLines } from '../doctor/broker.ts'
import { databaseLines } from '../doctor/database.ts'
import { httpsLines } from '../doctor/https.ts'
import { type Line, wrong } from '../doctor/line.ts'
import { settingLines } from '../doctor/settings.ts'
import { examples } from '../help.ts'
import { noteFound, type OutsideAct, print } from '../run-command.ts'
import { type OperatorSettings, readSettings } from '../settings.ts'
import { tableLines } from '../show.ts'

const HELP = `
Each line is ok, or says what to do; then the exit code is 1. A WARNING says what to do as well, and the exit code stays 0:
such as a pause, an open transaction, dead letters, a process that was replaced, or a certificate that ends within 30 days.
RabbitMQ is asked if RABBITMQ_URL or MQ_HOST is set, or a stack runs here. Otherwise the relays' reports have to do.
`

export function addDoctorCommand(program: Command, choose: (act: OutsideAct) => void): void {
  program
    .command('doctor')
    .description('check settings, connections, TLS, schema, durability, clocks, sessions, processes and queues')
    .addHelpText('after', HELP + examples('doctor', 'doctor --json'))
    .action(() => choose(doctor))
}

const doctor: OutsideAct = async ({ json, progress }) => {
  progress.report('Checking …')
  const lines = await check()
  progress.clear()
  const found = lines.filter(({ ok }) => !ok).length
  if (found > 0) noteFound()
  await print((json ? lines.map(jsonLine) : tableLines(lines.map(cells))).join('\n'))
  return found === 0 ? { done: true } : { done: false, why: `${found} of ${lines.length} checks are not ok.` }
}

async function check(): Promise<Line[]> {
  let settings: OperatorSettings
  try {
    settings = readSettings()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return [wrong('settings', error.message.replaceAll(/\s*\n\s*/g, ' '))]
  }
  const { lines, paused } = await databaseLines(settings)
  return [
    ...settingLines(settings),
    ...lines,
    ...(await brokerLines(settings, paused)),
    ...(await httpsLines(settings)),
  ]
}

function cells({ check, ok, warning, detail }: Line): string[] {
  const [name, text] = [visible(check), visible(detail)]
  if (warning) return [name, styleText('yellow', 'WARNING'), styleText('yellow', text)]
  return ok ? [name, styleText('green', 'ok'), text] : [name, styleText('red', 'NOT OK'), styleText('red', text)]
}
