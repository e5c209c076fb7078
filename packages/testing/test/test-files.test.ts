import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { REPOSITORY } from '../src/repository.ts'

/** Packages for development only, whose exports may start services. */
const DEVELOPMENT = /^packages\/(bench|chaos|dev-stack|testing)\/src\//

/** The main module of a service. */
const MAIN = /src\/main\.ts/

/** Code that creates a client of pg or a plain socket, each of which needs a listener for its errors. */
const CLIENT = /new pg\.(Client|Pool)\(|^import \{[^}]*\b(Client|Pool)\b[^}]*\} from 'pg'/m
const SOCKET = /^import \{[^}]*\bconnect\b[^}]*\} from 'node:net'/m

/** The only files with such code. Each adds the listeners itself. */
const WITH_LISTENERS = [
  'db/test/postgres/one-trip-cuts.long.test.ts',
  'db/test/postgres/silent-servers.ts',
  'packages/bench/src/textbook/database.ts', // Written like a tutorial, so it uses no function of ours.
  'packages/chaos/test/faults/links.test.ts',
  'packages/dev-stack/src/servers/postgres-client.ts',
  'packages/dev-stack/src/servers/rabbitmq-management.ts',
  'packages/runtime/test/admin/admin-server.test.ts',
  'packages/testing/src/open-socket.ts',
  'packages/testing/src/tcp-proxy/tcp-proxy.ts', // Its pipes add them.
  'packages/testing/test/tcp-proxy/plain-sockets.ts',
  'services/worker/test/interleavings/faulty-database.ts',
]

const files = globSync('{db,packages/*,services/*}/{src,test,compose}/**/*.ts', { cwd: REPOSITORY })
const read = (file: string) => readFileSync(join(REPOSITORY, file), 'utf8')
const tests = files.filter((file) => /\/test\/.*\.test\.ts$/.test(file))
const packageOf = (file: string) => file.slice(0, file.indexOf('/test/'))
const isLong = (file: string) => file.endsWith('.long.test.ts')

/** The text of each exported function, up to the next one. */
function exportedFunctions(file: string): { name: string; text: string }[] {
  const parts = read(file).split(/^export (?:async )?function /m)
  return parts.slice(1).map((text) => ({ name: /^\w+/.exec(text)?.[0] ?? '', text }))
}

/** Names of functions that start a service's process, directly or through each other, for the tests of a package. */
function starters(ownPackage: string): Set<string> {
  const isOwnSupport = (file: string) => file.startsWith(`${ownPackage}/test/`) && !tests.includes(file)
  const functions = files.filter((file) => DEVELOPMENT.test(file) || isOwnSupport(file)).flatMap(exportedFunctions)
  const found = new Set<string>()
  for (let before = -1; before < found.size; ) {
    before = found.size
    for (const { name, text } of functions) if (startsService(text, found)) found.add(name)
  }
  return found
}

function startsService(text: string, known: ReadonlySet<string>): boolean {
  return MAIN.test(text) || [...text.matchAll(/\b(\w+)\(/g)].some(([, name = '']) => known.has(name))
}

describe('test files', () => {
  it('test files are named *.long.test.ts if they start services as processes', () => {
    expect([...starters('services/relay')]).to.include.members(['startService', 'startPipeline', 'createRelayRig'])
    const misnamed = [...Map.groupBy(tests, packageOf)].flatMap(([name, own]) => {
      const known = starters(name)
      return own.filter((file) => !isLong(file) && startsService(read(file), known))
    })
    expect(misnamed).to.deep.equal([])
  })

  it('test files have a script in their package that runs them, and no script has no files', () => {
    for (const [name, own] of Map.groupBy(tests, packageOf)) {
      const { scripts } = JSON.parse(read(`${name}/package.json`)) as { scripts: Record<string, string> }
      expect('test' in scripts, `${name}: test`).to.equal(own.some((file) => !isLong(file)))
      expect('test:long' in scripts, `${name}: test:long`).to.equal(own.some(isLong))
    }
  })

  it('test files connect to PostgreSQL and plain sockets only with an error listener, as do the development packages', () => {
    const withClients = files
      .filter((file) => DEVELOPMENT.test(file) || /\/(test|compose)\//.test(file))
      .filter((file) => CLIENT.test(read(file)) || SOCKET.test(read(file)))
    expect(withClients, 'use openClient, openPool, query or openSocket of @cashflow/testing').to.have.members(
      WITH_LISTENERS,
    )
  })
})
