import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseEnv, promisify } from 'node:util'
import { defined } from '@cashflow/async'
import {
  eventually,
  type PrivatePostgres,
  query,
  REPOSITORY,
  startPrivatePostgres,
  writeServerFile,
} from '@cashflow/testing'
import { expect } from 'chai'
import { runCashflow } from './run-cashflow.ts'

/** The blocks of code in the section "TLS from zero" of docs/operations.md, by language. */
async function blocksOf(language: string): Promise<string[]> {
  const page = await readFile(join(REPOSITORY, 'docs/operations.md'), 'utf8')
  const [, section = ''] = /^## TLS from zero\n([\s\S]*?)^## /m.exec(page) ?? []
  return [...section.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(([, name]) => name === language)
    .map(([, , text]) => defined(text, 'text of a block'))
}

describe('the page "TLS from zero"', function () {
  this.timeout(180_000)
  let folder: string
  let server: PrivatePostgres
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cashflow-test-'))
    server = await startPrivatePostgres()
  })
  after(async () => {
    await server.stop()
    await rm(folder, { recursive: true })
  })

  // Promise 109
  it('docs/operations.md: its commands lead from no certificate to a session that both sides have verified', async () => {
    const commands = (await blocksOf('sh')).filter((block) => block.startsWith('openssl'))
    const script = commands.join('\n').replaceAll('db.example', 'localhost')
    await promisify(execFile)('bash', ['-euc', script], { cwd: folder })

    const [serverSettings = '', clientSettings = ''] = await blocksOf('ini')
    const [rules = ''] = await blocksOf('text')
    for (const name of ['ca.pem', 'server.pem', 'server.key'])
      await writeServerFile(server.url, name, await readFile(join(folder, name)))
    for (const name of ['postgresql.conf', 'pg_hba.conf']) {
      const [row] = await query<{ text: string }>(server.url, `select pg_read_file('${name}') as text`)
      const text = defined(row, name).text
      await writeServerFile(
        server.url,
        name,
        name === 'pg_hba.conf' ? `${rules}\n${text}` : `${text}\n${serverSettings}`,
      )
    }
    await query(server.url, 'create role cashflow login superuser')
    await query(server.url, 'select pg_reload_conf()')

    const given = parseEnv(clientSettings.replaceAll('/etc/cashflow', folder).replace('db.example', 'localhost'))
    const env = { ...given, DB_PORT: new URL(server.url).port } as Record<string, string>
    await eventually(
      async () => {
        const { stdout } = await runCashflow(['doctor'], env, folder)
        expect(stdout).to.match(/^TLS to PostgreSQL +ok +encrypted with TLSv1\.3.* host name are verified by /m)
        expect(stdout).to.match(
          /^certificate of PostgreSQL at localhost:\d+ +ok +CN=localhost: valid until .* 364 days/m,
        )
        expect(stdout).to.match(/^own certificate, DB_SSLCERT +ok +CN=cashflow: valid until .* 364 days/m)
      },
      { timeoutMs: 30_000 },
    )
    const without = await runCashflow(['doctor'], { ...env, DB_SSLMODE: 'disable', DB_SSLROOTCERT: '' }, folder)
    expect(without.stdout).to.match(/^PostgreSQL +NOT OK .*DB_SSLMODE/m)
  })
})
