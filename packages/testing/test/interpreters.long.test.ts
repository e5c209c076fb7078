import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect } from 'chai'
import { fetchInterpreter } from '../src/interpreters.ts'

const PRINT = {
  python: ['-c', 'import sqlite3; print(sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()[0])'],
  php: ['-r', 'echo (new PDO("sqlite::memory:"))->query("select 6 * 7")->fetchColumn();'],
}

describe('interpreters for tests', function () {
  this.timeout(300_000) // The first run on a machine may have to download them.

  for (const language of ['python', 'php'] as const) {
    it(`interpreters for tests: ${language} runs with SQLite as it is installed, and as apt-get has downloaded it`, async () => {
      for (const options of [{}, { find: () => undefined }]) {
        const interpreter = await fetchInterpreter(language, options)
        if (!interpreter) continue
        const { file, args, env } = interpreter
        const { stdout } = await promisify(execFile)(file, [...args, ...PRINT[language]], {
          env: { ...process.env, ...env },
        })
        expect(stdout.trim()).to.equal('42')
      }
    })

    it(`interpreters for tests: leave tests of ${language} out with one line, and fail where all have to run`, async () => {
      const lines: string[] = []
      const away = {
        find: () => '/bin/false', // Installed, but too old.
        fetchPackage: () => Promise.reject(new Error('no network')),
        log: (line: string) => void lines.push(line),
      }
      expect(await fetchInterpreter(language, { ...away, isComplete: false })).to.equal(undefined)
      expect(lines).to.have.length(1)
      expect(lines[0]).to.match(
        /^Tests are left out, because (python3|php) is not installed with SQLite, and .*: no network$/,
      )
      const failure = await fetchInterpreter(language, { ...away, isComplete: true }).catch((error) => error)
      expect(failure).to.be.an('error')
      const other = { ...away, fetchPackage: () => Promise.resolve(undefined), isComplete: false }
      expect(await fetchInterpreter(language, other)).to.equal(undefined)
    })
  }
})
