import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { ConfigError, readEnvFile } from '../src/env.ts'

describe('.env file', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'cashflow-env-'))
  })
  afterEach(() => rmSync(dir, { recursive: true }))

  function read(content: string | Buffer) {
    const file = join(dir, '.env')
    writeFileSync(file, content)
    return { ...readEnvFile(file) }
  }

  it('.env file may be missing', () => {
    expect({ ...readEnvFile(join(dir, 'missing')) }).to.deep.equal({})
  })

  // Promise 64
  it('.env file may begin with a byte order mark', () => {
    expect(read('\ufeffDB_PORT=5433\nPORT=1\n')).to.deep.equal({ DB_PORT: '5433', PORT: '1' })
  })

  it('.env file may have Windows line ends, comments, export, blanks, and quotes over several lines', () => {
    const text = `# it's "mine"\r\nexport A=1\r\n  B = 'x # y' # z\r\n\r\nC=\r\nD="two\r\nlines" # of it\r\nE=it's\r\nF="open\r\nG=b#c`
    expect(read(text)).to.deep.equal({ A: '1', B: 'x # y', C: '', D: 'two\nlines', E: "it's", F: '"open', G: 'b' })
  })

  for (const [what, content, reason] of [
    ['UTF-16, as PowerShell writes it', Buffer.from('\ufeffPORT=1', 'utf16le'), /must be a text in UTF-8$/],
    ['UTF-16 without a mark', Buffer.from('PORT=1', 'utf16le'), /must be a text in UTF-8$/],
    ['Latin-1', Buffer.from('DB_PASSWORD=hunter2é', 'latin1'), /must be a text in UTF-8$/],
    ['a line without =', '# one\nA=1\nhunter2\nB=2\n', /line 3 is not NAME=value$/],
    ['a YAML line', 'A="1\n2"\nPORT: hunter2', /line 3 is not NAME=value$/],
    ['a line without a name', '=hunter2\nA=1', /line 1 is not NAME=value$/],
    ['a name with a blank', 'DB PASSWORD=hunter2', /line 1 is not NAME=value$/],
    ['text after a quote', 'A=1\nB="a"hunter2', /line 2 is not NAME=value$/],
    ['a quote that ends in a later line', 'A="hunter2\nB="c"\nD=1', /line 1 is not NAME=value$/],
    ['line ends of one CR', 'A=1\rB=hunter2', /line 1 is not NAME=value$/],
  ] as const) {
    // Promise 64
    it(`rejects an .env file by name for ${what}`, () => {
      expect(() => read(content))
        .to.throw(ConfigError, reason)
        .with.property('message')
        .that.does.not.contain('hunter2')
    })
  }

  it('a process outside production reads the .env file, and set variables win', async () => {
    writeFileSync(join(dir, '.env'), '\ufeffPORT=1\nDB_PORT=2\nMQ_PORT=3\n')
    const runtime = join(import.meta.dirname, '../src/index.ts')
    const program = `
      import { loadConfig } from ${JSON.stringify(runtime)}
      console.log(JSON.stringify(loadConfig(({ PORT, DB_PORT, MQ_PORT }) => [PORT, DB_PORT, MQ_PORT])))`
    const read = async (env: NodeJS.ProcessEnv) => {
      const args = ['--input-type=module', '--eval', program]
      const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: dir, env })
      return JSON.parse(stdout)
    }
    expect(await read({ DB_PORT: '5', MQ_PORT: '' })).to.deep.equal(['1', '5', ''])
    expect(await read({ APP_ENV: 'production', DB_PORT: '5' })).to.deep.equal([null, '5', null])
  })

  it('rejects an .env file by name if it cannot be read', () => {
    expect(() => readEnvFile(dir)).to.throw(ConfigError, /cannot be read: EISDIR/)
  })
})
