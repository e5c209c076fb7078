import { expect } from 'chai'
import { Command, type CommanderError } from 'commander'
import { addCommands } from '../src/commands.ts'
import type { Act, OutsideAct } from '../src/run-command.ts'

const ID = '0197f3c0-0000-7000-8000-0123456789ab'
const KEY = '0aB3dE5fG7hI9'

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
  for (const args of [
    [],
    ['bury', '1'],
    ['dead'],
    ['dead', 'bury', '1'],
    ['dead', 'list', '1'],
    ['dead', 'requeue'],
    ['dead', 'requeue', '1; drop'],
    ['dead', 'requeue', '1', '--reason', 'x'],
    ['dead', 'discard', '1'],
    ['dead', 'discard', '1', '--reason', ' '],
    ['dead', 'discard', '1', '2', '--reason', 'x'],
    ['dead', 'list', '--all'],
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
    ['dead', 'discard', '17', '--reason', 'ours'],
    ['conformance', 'http://127.0.0.1:8080', '--json'],
    ['conformance', '--key', 'cf_test_x', 'https://payments.example.com/'],
    ['settle', ID, '--success', '--reason', 'x'],
    ['settle', '--failed', '--reason=x', ID],
    ['settle', ID, '--failed', '--failure-code', 'fraud', '--reason', 'x'],
  ])
    it(`accepts ${['cashflow', ...args].join(' ')}`, () => {
      expect(parse(args)).to.be.a('function')
    })
})
