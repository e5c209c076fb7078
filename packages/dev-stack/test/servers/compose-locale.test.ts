import { execFile } from 'node:child_process'
import { chownSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { POSTGRES_ENV } from '../../src/servers/postgres-cluster.ts'
import { claimFiles, installPrograms, postgresHome, removeFiles } from '../../src/servers/postgres-home.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const COMPOSE = join(import.meta.dirname, '../../../../docker-compose.yml')

describe('docker-compose.yml', () => {
  const folder = temporaryFolder()
  const home = postgresHome(folder.path)
  after(() => {
    removeFiles(home)
    folder.remove()
  })

  it('makes PostgreSQL compare text by its bytes in a new volume, regardless of the image’s locales', async () => {
    const [, options = ''] = /POSTGRES_INITDB_ARGS: (.+)/.exec(readFileSync(COMPOSE, 'utf8')) ?? []
    installPrograms(home)
    claimFiles(home, false)
    const data = join(home.files, 'locale')
    mkdirSync(data, { mode: 0o700 })
    if (home.user) chownSync(data, home.user.uid, home.user.gid)
    const { stdout } = await promisify(execFile)(
      join(home.programs, 'bin/initdb'),
      ['--pgdata', data, '--no-sync', ...options.split(' ')],
      { env: POSTGRES_ENV, cwd: data, ...home.user },
    )
    expect(stdout)
      .to.match(/locale provider: +builtin\n/)
      .and.match(/default collation: +C\.UTF-8\n/)
  })
})
