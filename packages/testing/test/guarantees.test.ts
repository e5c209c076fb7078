import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect } from 'chai'
import { REPOSITORY } from '../src/repository.ts'

const PAGE = join(REPOSITORY, 'docs/guarantees.md')
const TESTS_PAGE = join(REPOSITORY, 'docs/guarantees-tests.md')

const LINK = /^\[([^\]]+)\]: (\S+)$/gm

/** The page and the tests use different apostrophes. */
const plain = (text: string) => text.replaceAll("\\'", "'").replaceAll('’', "'")

describe('docs/guarantees.md', () => {
  const promised = readFileSync(PAGE, 'utf8')
  const tested = readFileSync(TESTS_PAGE, 'utf8')
  const links = linksOf(tested)
  const rows = [...tested.matchAll(/^\| ([\d, ]+?) *\| \[[^\]]+\]\[([^\]]+)\] *\| `([^`]+)` *\| (.+?) *\|$/gm)].map(
    ([, numbers = '', link = '', command, title = '']) => {
      const file = resolve(TESTS_PAGE, '..', links.get(link) ?? link)
      return { numbers: numbers.split(', '), file, command, title }
    },
  )

  it('names existing tests, each in its file', () => {
    expect(rows, 'rows of this form').to.have.length(tested.match(/^\| \d/gm)?.length ?? 0)
    expect(rows).to.have.length.above(200)
    const sources = new Map<string, string>()
    const missing = rows.filter(({ file, title }) => {
      if (!existsSync(file)) return true
      if (!sources.has(file)) sources.set(file, plain(readFileSync(file, 'utf8')))
      // A title stands between quotes of any kind.
      const text = plain(title)
      return !["'", '"', '`'].some((quote) => sources.get(file)?.includes(`${quote}${text}${quote}`))
    })
    expect(missing).to.deep.equal([])
  })

  it('names the command that runs each test', () => {
    const commandOf = (file: string) => (file.endsWith('.long.test.ts') ? 'test:long' : 'test')
    expect(rows.filter(({ file, command }) => command !== commandOf(file))).to.deep.equal([])
  })

  it('has a test for each promise, and a promise for each test', () => {
    const promises = new Set([...promised.matchAll(/^\| (\d+) *\|/gm)].map(([, number]) => number))
    const held = new Set(rows.flatMap(({ numbers }) => numbers))
    expect([...held].toSorted()).to.deep.equal([...promises].toSorted())
  })

  it('links only to existing files, and uses each link', () => {
    for (const page of [promised, tested]) {
      const body = page.replace(LINK, '')
      for (const [name, path] of linksOf(page)) {
        expect(existsSync(resolve(PAGE, '..', path)), path).to.equal(true)
        expect(body, name).to.include(`][${name}]`)
      }
    }
  })
})

function linksOf(page: string): Map<string, string> {
  return new Map([...page.matchAll(LINK)].map(([, name = '', path = '']) => [name, path]))
}
