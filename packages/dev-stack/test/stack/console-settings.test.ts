import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect } from 'chai'
import { freePort } from '../../src/ports.ts'
import { stackSettings } from '../../src/settings.ts'
import { consoleSettings } from '../../src/stack/console-settings.ts'

describe('settings of the console that npm start passes on', () => {
  async function settingsOf(env: Record<string, string>, apiPorts: readonly number[] = []) {
    const said: string[] = []
    const context = { settings: stackSettings(env), say: (line: string) => void said.push(line) }
    return { ...(await consoleSettings(context, apiPorts)), said }
  }

  it('npm start makes another login token for each start, and no token of the environment is used', async () => {
    const port = String(await freePort())
    const env = { CONSOLE_PORT: port, CONSOLE_TOKEN: 't'.repeat(32) }
    const [one, other] = [await settingsOf(env), await settingsOf(env)]
    expect(one.url).to.equal(`http://127.0.0.1:${port}/#token=${one.env.CONSOLE_TOKEN}`)
    expect(one.env).to.include({ CONSOLE_HOST: '127.0.0.1', CONSOLE_PORT: port, CONSOLE_TOKEN_FILE: '' })
    expect(one.env.CONSOLE_TOKEN).to.match(/^[\w-]{43}$/)
    expect(new Set([one.env.CONSOLE_TOKEN, other.env.CONSOLE_TOKEN, env.CONSOLE_TOKEN])).to.have.lengthOf(3)
  })

  it('npm start gives the console another port if its own is taken, and says so', async () => {
    const port = await freePort()
    const taking = createServer().listen(port, '127.0.0.1')
    await once(taking, 'listening')
    const { env, said } = await settingsOf({ CONSOLE_PORT: String(port) })
    taking.close()
    expect(said).to.deep.equal([`port ${port} is taken: the console uses ${env.CONSOLE_PORT}`])
  })

  it('npm start gives the console another port if one of many APIs is going to use its own', async () => {
    const port = await freePort()
    const { env } = await settingsOf({ CONSOLE_PORT: String(port) }, [port])
    expect(Number(env.CONSOLE_PORT)).to.be.above(0).and.not.equal(port)
  })

  it('the URL of the console names this machine, and HTTPS where the api has a certificate', async () => {
    const env = { CONSOLE_HOST: '::', PORT: '0', API_TLS_CERT: 'api.pem' }
    expect((await settingsOf(env)).url).to.match(/^https:\/\/127\.0\.0\.1:\d+\/#token=/)
  })
})
