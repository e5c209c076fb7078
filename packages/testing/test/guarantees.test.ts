import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect } from 'chai'
import { REPOSITORY } from '../src/repository.ts'

const PAGE = join(REPOSITORY, 'docs/guarantees.md')

/** The page and the tests use different apostrophes. */
const plain = (text: string) => text.replaceAll("\\'", "'").replaceAll('’', "'")

describe('docs/guarantees.md', () => {
  const page = readFileSync(PAGE, 'utf8')
  const [promised = '', tested = ''] = page.split('\n## The tests\n')
  const links = new Map([...page.matchAll(/^\[([^\]]+)\]: (\S+)$/gm)].map(([, name = '', path = '']) => [name, path]))
  const rows = [...tested.matchAll(/^\| ([\d, ]+?) *\| \[[^\]]+\]\[([^\]]+)\] *\| `([^`]+)` *\| (.+?) *\|$/gm)].map(
    ([, numbers = '', link = '', command, title = '']) => {
      const file = resolve(PAGE, '..', links.get(link) ?? link)
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
    const bodies = page.replace(/^\[[^\]]+\]: \S+$/gm, '')
    for (const [name, path] of links) {
      expect(existsSync(resolve(PAGE, '..', path)), path).to.equal(true)
      expect(bodies, name).to.include(`][${name}]`)
    }
  })
})
