import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PUBLIC_SECRETS_KEY, SECRETS } from '@cashflow/runtime'
import { expect } from 'chai'
import { documentedSettings, REPOSITORY } from '../src/repository.ts'

/** What Compose decides itself: where the servers are, and where services listen. Only `npm start` sets the last one. */
const FIXED =
  /^(DATABASE_URL|DB_(?!SSL)\w+|RABBITMQ_URL|MQ_(HOST|PORT|USER|PASSWORD)|(ADMIN_)?(HOST|PORT)|CONSOLE_SANDBOX_SOCKET)$/

describe('docker-compose.yml', () => {
  for (const service of ['api', 'relay', 'worker', 'webhooks'])
    it(`docker-compose.yml passes on every setting of ${service} that docs/settings.md lists, except for addresses`, async () => {
      const text = await readFile(join(REPOSITORY, 'docker-compose.yml'), 'utf8')
      const block = (name: string) => new RegExp(`^( *)${name}:.*\n((?:\\1 +.*\n|\n)*)`, 'm').exec(text)?.[2] ?? ''
      const own = block(service)
      const merged = /<<: \[?(.*?)\]?$/gm
      const anchors = [...own.matchAll(merged)].flatMap(([, names = '']) => names.replaceAll('*', '').split(', '))
      const blocks = [own, ...anchors.map((name) => block(`x-${name}`))].join('\n')
      const passed = [...blocks.matchAll(/^ +([A-Z_]+):(?: (?!\$).*| \$\{\1:?-\w+\})?$/gm)].map(([, name]) => name)
      const settings = Object.keys(await documentedSettings(service)).filter((name) => !FIXED.test(name))
      expect(passed).to.include.members(settings)
      const secrets = settings.filter((name) => (SECRETS as readonly string[]).includes(name))
      expect(passed).to.include.members(secrets.map((name) => `${name}_FILE`))
    })

  it('the default SECRETS_KEY of docker-compose.yml is the one that services refuse where money moves', async () => {
    const text = await readFile(join(REPOSITORY, 'docker-compose.yml'), 'utf8')
    expect(/\$\{SECRETS_KEY-(\w+)\}/.exec(text)?.[1]).to.equal(PUBLIC_SECRETS_KEY)
  })

  it('docs/settings.md lists every secret that a file may hold', async () => {
    const page = await readFile(join(REPOSITORY, 'docs/settings.md'), 'utf8')
    expect([...new Set(page.match(/(?<=`)[A-Z_]+(?=_FILE`)/g))]).to.have.members([...SECRETS])
  })
})
