import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { createLogPrinter } from '../../src/log-printer.ts'
import { SandboxRefusal } from '../../src/sandbox/refusal.ts'
import { listenOnSocket } from '../../src/sandbox/server.ts'
import { socketPath } from '../../src/sandbox/socket-path.ts'
import { askSandbox } from '../support/ask-sandbox.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

describe('socket of a sandbox', () => {
  const folder = temporaryFolder()
  const socket = join(folder.path, 'sandbox.sock')
  const lines: string[] = []
  const { log } = createLogPrinter({ write: (line) => lines.push(line), level: 'debug', labelWidth: 5 })
  const routes = {
    'GET /': () => ({ run: null }),
    'POST /faults': (body: unknown) => ({ got: body }),
    'DELETE /counter': () => {
      throw new SandboxRefusal(409, 'Not now.')
    },
    'DELETE /payments': () => {
      throw new Error('a bug')
    },
  }
  let server: Awaited<ReturnType<typeof listenOnSocket>>

  before(async () => {
    writeFileSync(socket, 'what a killed run has left')
    server = await listenOnSocket(socket, routes, log)
  })
  after(async () => {
    await server.stop()
    folder.remove()
  })

  it('socket replaces what a killed run has left, and is open to its user only', () => {
    const { mode } = statSync(socket)
    expect([mode & 0o777, statSync(socket).isSocket()]).to.deep.equal([0o600, true])
  })

  it('socket answers with the result of a route, or with the status of its refusal', async () => {
    expect(await askSandbox(socket)).to.deep.equal({ status: 200, body: { run: null } })
    expect(await askSandbox(socket, 'POST /faults', { kind: 'x' })).to.deep.equal({
      status: 200,
      body: { got: { kind: 'x' } },
    })
    const refused = await askSandbox(socket, 'DELETE /counter')
    expect(refused).to.deep.equal({ status: 409, body: { error: 'Not now.' } })
    expect((await askSandbox(socket, 'GET /faults')).status).to.equal(404)
  })

  it('socket answers 400 to a body that is no JSON, and 413 to one that is too large', async () => {
    expect((await askSandbox(socket, 'POST /faults', '{')).status).to.equal(400)
    expect((await askSandbox(socket, 'POST /faults', { long: 'x'.repeat(10_000) })).status).to.equal(413)
  })

  it('socket answers 500 to an error that is a bug, and logs it', async () => {
    expect((await askSandbox(socket, 'DELETE /payments')).status).to.equal(500)
    expect(lines.join()).to.contain('a bug')
  })

  it('socket of a checkout with a long path is named from the checkout', () => {
    const long = `/${'x'.repeat(120)}`
    expect(socketPath('/short/.cashflow', '/short')).to.equal('/short/.cashflow/sandbox.sock')
    expect(socketPath(join(process.cwd(), 'x'.repeat(90)), process.cwd())).to.equal(`${'x'.repeat(90)}/sandbox.sock`)
    expect(socketPath(`${long}/.cashflow`, long)).to.equal(undefined)
  })
})
