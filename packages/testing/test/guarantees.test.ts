import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect } from 'chai'
import { promiseTests } from '../src/promises.ts'
import { REPOSITORY } from '../src/repository.ts'

const PAGE = join(REPOSITORY, 'docs/guarantees.md')
const LINK = /^\[([^\]]+)\]: (\S+)$/gm

describe('docs/guarantees.md', () => {
  const page = readFileSync(PAGE, 'utf8')
  const tests = promiseTests()

  it('docs/guarantees.md has a test for each promise, and a promise for each test', () => {
    const promises = new Set([...page.matchAll(/^\| (\d+) *\|/gm)].map(([, number]) => Number(number)))
    expect(promises.size).to.be.at.least(68)
    expect(new Set(tests.flatMap((test) => test.promises))).to.deep.equal(promises)
  })

  it('finds each test above which a comment names a promise of docs/guarantees.md', () => {
    const comments = tests.map(({ file }) => file)
    for (const file of new Set(comments)) {
      const written = readFileSync(join(REPOSITORY, file), 'utf8').match(/\/\/ Promises? \d/g) ?? []
      expect(
        comments.filter((other) => other === file),
        file,
      ).to.have.length(written.length)
    }
  })

  it('links only to existing files, and uses each link', () => {
    const body = page.replace(LINK, '')
    for (const [, name, path = ''] of page.matchAll(LINK)) {
      expect(existsSync(resolve(PAGE, '..', path)), path).to.equal(true)
      expect(body, name).to.include(`][${name}]`)
    }
  })
})
