import { CommitInDoubtError } from '@cashflow/db'
import { Command, type CommanderError, type CommandUnknownOpts } from '@commander-js/extra-typings'
import { expect } from 'chai'
import { addCommands } from '../src/commands.ts'
import { type Act, explainFailure, type OutsideAct } from '../src/run-command.ts'

const ID = '0197f3c0-0000-7000-8000-0123456789ab'
const KEY = '0aB3dE5fG7hI9'

/** Each command that has an act of its own, with its help. */
function leaves(): { name: string; help: string }[] {
  const program = new Command()
  addCommands(
    program,
    () => {},
    () => {},
  )
  const below = (command: CommandUnknownOpts, names: readonly string[]): { name: string; help: string }[] => {
    if (command.commands.length > 0) return command.commands.flatMap((one) => below(one, [...names, one.name()]))
    const help: string[] = []
    command.configureOutput({ writeOut: (text) => help.push(text) }).outputHelp()
    return [{ name: names.join(' '), help: help.join('') }]
  }
  return below(program, [])
}

/** Splits a line as a shell does. It knows words, and texts in single quotes. */
const words = (line: string) => Array.from(line.matchAll(/'([^']*)'|\S+/g), ([word, quoted]) => quoted ?? word)

/** Returns the act that the arguments name. Wrong arguments throw a CommanderError. */
function parse(args: readonly string[]): Act | OutsideAct | undefined {
  let chosen: Act | OutsideAct | undefined
  const program = new Command().exitOverride().configureOutput({ writeErr: () => {} })
  const choose = (act: Act | OutsideAct) => {
    chosen = act
  }
  addCommands(program, choose, choose)
  program.parse(args, { from: 'user' })
  return chosen
}

describe('cashflow', () => {
  it('says that an act was done whose commit might not have been replicated', () => {
    expect(explainFailure(new CommitInDoubtError()))
      .to.match(
        /^The transaction has committed, but might not have been replicated\. It was done, .* Look before you repeat it\.$/,
      )
      .and.to.not.include('cannot be reached')
  })

  for (const args of [
    [],
    ['bury', '1'],
    ['dead'],
    ['dead', 'bury', '1'],
    ['dead', 'list', '1'],
    ['dead', 'requeue'],
    ['dead', 'requeue', '1; drop'],
    ['dead', 'discard', '1'],
    ['dead', 'discard', '1', '--reason', ' '],
    ['dead', 'list', '--all'],
    ['dead', 'list', '--limit', '0'],
    ['dead', 'list', '--limit', '10001'],
    ['dead', 'list', '--over', '1 hour'],
    ['dead', 'list', '--source', ''],
    ['dead', 'show'],
    ['dead', 'show', '1', '2'],
    ['dead', 'requeue', '1', '--reason', 'x'.repeat(1_001)],
    ['dead', 'requeue', '1', '--source', 'queue'],
    ['dead', 'requeue', '1', '--dry-run'],
    ['dead', 'requeue', '--source', 'queue'],
    ['dead', 'requeue', '--source', 'queue', '--dry-run', '--expect', '0123456789abcdef'],
    ['dead', 'requeue', '--source', 'queue', '--expect', 'all'],
    ['dead', 'discard', '--source', 'queue', '--expect', '0123456789abcdef'],
    ['redrive'],
    ['redrive', '42'],
    ['redrive', ID, '--pending-over', '10m'],
    ['redrive', ID, '--limit', '1'],
    ['redrive', ID, '--dry-run'],
    ['redrive', '--pending-over', '10'],
    ['redrive', '--pending-over', '10m', '--limit', '-1'],
    ['audit'],
    ['audit', 'list', '--since', 'yesterday'],
    ['audit', 'list', '--before', 'x'],
    ['audit', 'list', '--target', ''],
    ['audit', 'list', '--action', 'restart'],
    ['payments', 'settle', ID, '--reason', 'x'],
    ['merchants', 'create'],
    ['merchants', 'create', ' '],
    ['merchants', 'create', 'two', 'names'],
    ['merchants', 'create', 'bell\u0007'],
    ['merchants', 'list', '--all'],
    ['keys', 'create'],
    ['keys', 'create', '--merchant', 'acme'],
    ['keys', 'create', '--merchant', ID, '--name', ''],
    ['keys', 'create', '--merchant', ID, '--scopes', ''],
    ['keys', 'create', '--merchant', ID, '--scopes', 'payments:read,payments:delete'],
    ['keys', 'create', '--merchant', ID, '--expires-in', '0s'],
    ['keys', 'create', '--merchant', ID, '--expires-in', '90'],
    ['keys', 'create', '--merchant', ID, '--expires-in', '3651d'],
    ['keys', 'create', '--merchant', ID, '--expires-in', '1.5d'],
    ['keys', 'create', '--merchant', ID, '--expires-at', '2000-01-01'],
    ['keys', 'create', '--merchant', ID, '--expires-at', '2999-02-30'],
    ['keys', 'create', '--merchant', ID, '--expires-at', '2999-01-01T00:00:00'],
    ['keys', 'create', '--merchant', ID, '--expires-at', 'tomorrow'],
    ['keys', 'create', '--merchant', ID, '--expires-at', '2999-01-01', '--expires-in', '1d'],
    ['keys', 'list', '--merchant', 'acme'],
    ['keys', 'revoke'],
    ['keys', 'revoke', '--all'],
    ['keys', 'revoke', 'acme'],
    ['keys', 'rotate', KEY, '--overlap', '91d'],
    ['keys', 'rotate', KEY, '--overlap', '-1s'],
    ['console'],
    ['console', 'token'],
    ['console', 'token', '--name', 'ann'],
    ['console', 'token', '--role', 'read'],
    ['console', 'token', '--name', 'ann', '--role', 'admin'],
    ['console', 'token', '--name', ' ', '--role', 'read'],
    ['pause'],
    ['pause', 'worker'],
    ['pause', '--reason', 'x'],
    ['pause', 'api', '--reason', 'x'],
    ['pause', 'worker', 'relay', '--reason', 'x'],
    ['pause', 'worker', '--reason', ' '],
    ['pause', 'worker', '--reason', 'bell\u0007'],
    ['pause', 'worker', '--reason', 'two\nlines'],
    ['pause', 'worker', '--for', '30', '--reason', 'x'],
    ['pause', 'worker', '--for', '0s', '--reason', 'x'],
    ['pause', 'worker', '--for', '31d', '--reason', 'x'],
    ['resume'],
    ['resume', 'api'],
    ['resume', 'worker', '--for', '30m'],
    ['resume', 'worker', '--reason', ''],
    ['webhooks'],
    ['webhooks', 'list', '--failing', '--disabled'],
    ['webhooks', 'show'],
    ['webhooks', 'show', 'acme'],
    ['webhooks', 'deliveries', '--status', 'lost'],
    ['webhooks', 'deliveries', '--event', `evt_${ID}`],
    ['webhooks', 'deliveries', '--event', `evt_${ID}_1`, '--payment', ID],
    ['webhooks', 'enable', ID],
    ['webhooks', 'disable', ID, '--reason', ' '],
    ['webhooks', 'redeliver', ID, '--reason', 'x'],
    ['webhooks', 'redeliver', `evt_${ID}_1`],
    ['webhooks', 'replay', ID],
    ['webhooks', 'replay', ID, '--after', 'yesterday', '--reason', 'x'],
    ['webhooks', 'replay', ID, '--after', '2999-01-01', '--reason', 'x'],
    ['webhooks', 'replay', ID, '--types', 'payment.lost', '--reason', 'x'],
    ['webhooks', 'rekey', ID],
    ['webhooks', 'check'],
    ['webhooks', 'check', 'http://127.0.0.1:3000/'],
    ['webhooks', 'check', 'http://127.0.0.1:3000/', '--secret', 'dG9vIHNob3J0'],
    ['webhooks', 'check', 'ftp://127.0.0.1/', '--secret', `whsec_${'A'.repeat(32)}`],
    ['webhooks', 'check', 'http://169.254.169.254/', '--secret', `whsec_${'A'.repeat(32)}`],
    ['conformance'],
    ['conformance', 'localhost:8080'],
    ['conformance', 'ftp://localhost'],
    ['settle'],
    ['settle', '42', '--success', '--reason', 'x'],
    ['settle', ID, '--reason', 'x'],
    ['settle', ID, '--success', '--failed', '--reason', 'x'],
    ['settle', ID, '--success'],
    ['settle', ID, '--success', '--reason', 'x', '--failure-code', 'y'],
    ['settle', ID, '--failed', '--reason', 'x', '--failure-code', 'No Code'],
    ['settle', ID, '--failed', '--reason', 'x', '--failure-code', 'canceled'],
  ])
    it(`refuses ${['cashflow', ...args].join(' ')}`, () => {
      const refused = (): CommanderError | undefined => {
        try {
          parse(args)
        } catch (error) {
          return error as CommanderError
        }
        return undefined
      }
      expect(refused()).to.have.property('exitCode', 1)
    })

  for (const args of [
    ['merchants', 'create', 'Acme Ltd.'],
    ['merchants', 'list', '--json'],
    ['keys', 'create', '--merchant', ID],
    ['keys', 'create', '--merchant', ID, '--name', 'till 3', '--scopes', 'payments:write, payments:read'],
    ['keys', 'create', '--merchant', ID, '--expires-in', '90d'],
    ['keys', '--json', 'create', '--merchant', ID, '--expires-at', '2999-01-01'],
    ['keys', 'create', '--merchant', ID, '--expires-at', '2999-01-01T12:30:00+03:00'],
    ['--json', 'keys', 'list'],
    ['keys', 'list', '--merchant', ID],
    ['keys', 'revoke', KEY],
    ['keys', 'rotate', '--overlap', '0s', KEY],
    ['keys', 'rotate', KEY, '--json', '--overlap', '48h'],
    ['dead', 'list'],
    ['dead', 'list', '--json'],
    ['dead', 'requeue', '17'],
    ['dead', 'requeue', '17', '18', '--reason', 'the provider is back'],
    ['dead', 'requeue', '--dry-run'],
    [
      'dead',
      'requeue',
      '--source',
      'queue',
      '--topic',
      't',
      '--containing',
      'x',
      '--over',
      '1h',
      '--limit',
      '5',
      '--dry-run',
    ],
    ['dead', 'discard', '--over', '1h', '--dry-run'],
    ['dead', 'discard', '17', '18', '--reason', 'ours'],
    ['redrive', ID, '--reason', 'x'],
    ['redrive', '--pending-over', '10m', '--limit', '1', '--dry-run'],
    ['audit', 'list', '--actor', 'ann@ops', '--target', '17', '--since', '7d', '--before', '9', '--limit', '10'],
    ['audit', 'list', '--action', 'dead requeue'],
    ['audit', 'list', '--action', 'console token'],
    ['console', 'token', '--name', 'Ann Lee', '--role', 'operate', '--json'],
    ['payments', 'settle', ID, '--success', '--reason', 'x'],
    ['dead', 'discard', '17', '--reason', 'ours'],
    ['pause', 'worker', '--reason', 'x'],
    ['pause', 'relay', '--for', '30m', '--reason', 'x', '--json'],
    ['resume', 'relay'],
    ['resume', 'worker', '--reason', 'x'],
    ['webhooks', 'deliveries', '--endpoint', ID, '--status', 'pending', '--event', `evt_${ID}_1`],
    ['webhooks', 'redeliver', `evt_${ID}_1`, '--endpoint', ID, '--reason', 'x'],
    ['webhooks', 'replay', ID, '--after', `evt_${ID}_1`, '--types', 'payment.failed,payment.created', '--reason', 'x'],
    ['conformance', 'http://127.0.0.1:8080', '--json'],
    ['conformance', '--key', 'cf_test_x', 'https://payments.example.com/'],
    ['settle', ID, '--success', '--reason', 'x'],
    ['settle', '--failed', '--reason=x', ID],
    ['settle', ID, '--failed', '--failure-code', 'fraud', '--reason', 'x'],
  ])
    it(`accepts ${['cashflow', ...args].join(' ')}`, () => {
      expect(parse(args)).to.be.a('function')
    })

  for (const { name, help } of leaves())
    it(`cashflow ${name}: its help has examples that it accepts`, () => {
      const [, examples = ''] = help.split('\nExamples:\n')
      const lines = examples.split('\n\n', 1)[0]?.split('\n') ?? []
      expect(lines.length).to.be.at.least(1)
      for (const line of lines) {
        expect(line).to.match(new RegExp(`^  cashflow ${name}`))
        expect(parse(words(line.trim()).slice(1)), line).to.be.a('function')
      }
    })
})
